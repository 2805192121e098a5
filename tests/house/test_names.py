"""The public names: each is there, and `import *` brings them."""

import importlib
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest

import workerpool

PACKAGE = Path(workerpool.__file__).parent
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


def test_every_error_is_listed():
    """What the others start from holds every class of an error that there is."""
    kinds = [each for each in vars(workerpool.errors).values() if isinstance(each, type)]
    assert {each.__name__ for each in kinds if issubclass(each, workerpool.WorkerPoolError)} <= {
        *workerpool.errors.__all__
    }


@pytest.mark.parametrize("field", [each.name for each in fields(workerpool.Lane)])
def test_every_field_of_a_lane_is_read(field):
    """An option that is checked and kept, and that nobody asks for, does nothing."""
    read = re.compile(rf"(?:lane|self|lanes\[0\])\.{field}\b(?! =)")
    files = [PACKAGE / "lane.py", *(PACKAGE / "transport").rglob("*.py"), *(PACKAGE / "worker").rglob("*.py")]
    files += [*(PACKAGE / "caller").rglob("*.py")]
    assert any(read.search(path.read_text()) for path in files)


def test_a_star_import_brings_the_verbs():
    """`from workerpool import *` gives what `workerpool.` gives."""
    space = {}
    exec("from workerpool import *", space)
    for verb in ("request", "get", "options", "head", "post", "put", "patch", "delete"):
        assert space[verb] is getattr(workerpool, verb)
    assert workerpool.LaneView is space["LaneView"]


def test_a_completion_offers_public_names_only():
    """What the package imports for itself is none of them; its rooms cannot be hidden."""
    rooms = {each.split(".")[1] for each in MODULES if "." in each}
    offered = {each for each in dir(workerpool) if each.isidentifier() and not each.startswith("_")}
    assert set() == offered - {*workerpool.__all__} - rooms
