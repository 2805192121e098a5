"""The public names: each is there, and `import *` brings them."""

import importlib
import pkgutil

import pytest

import workerpool

MODULES = ["workerpool", *(each.name for each in pkgutil.walk_packages(workerpool.__path__, "workerpool."))]


@pytest.mark.parametrize("name", [each for each in MODULES if not each.endswith("__main__")])
def test_each_name_that_a_module_lists_is_there(name):
    """A module's `__all__` promises nothing that it lacks, and nothing twice."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert [] == [each for each in listed if not hasattr(module, each)]
    assert len(set(listed)) == len(listed)


def test_every_error_is_public():
    """Nobody who catches one has to know where it lives."""
    assert set(workerpool.errors.__all__) <= set(workerpool.__all__)


def test_a_star_import_brings_the_verbs():
    """`from workerpool import *` gives what `workerpool.` gives."""
    space = {}
    exec("from workerpool import *", space)
    for verb in ("request", "get", "options", "head", "post", "put", "patch", "delete"):
        assert space[verb] is getattr(workerpool, verb)
    assert workerpool.LaneView is space["LaneView"]
