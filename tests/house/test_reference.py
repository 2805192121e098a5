"""The reference names all there is: fields with their defaults, errors with their cures, calls, public names."""

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import workerpool
from workerpool import (
    HTTPStatusError,
    Lane,
    Rate,
    Response,
    Result,
    Retry,
    Timeout,
    WorkerPool,
    WorkerPoolError,
    errors,
)
from workerpool.testing import Site

TEXT = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
SECTIONS = dict(part.split("\n", 1) for part in TEXT.split("\n## ")[1:])


def rows(section):
    """Return the cells of each row of the section's last table, the first column without its quotes."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("| ")]
    cells = [re.split(r"\s*\|\s*", line)[1:-1] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells[1:]}


@pytest.mark.parametrize("kind", [Lane, Timeout, Retry, Rate], ids=lambda kind: kind.__name__)
def test_every_field_is_there_with_its_default(kind):
    """A field without a row, a row without a field, and another default fail."""
    table = rows(kind.__name__)
    assert [each.name for each in fields(kind)] == list(table)
    for each in fields(kind):
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if isinstance(default, frozenset):
            assert {str(one) for one in default} == set(table[each.name][0].split(", "))
        elif isinstance(default, Timeout | Retry):
            assert type(default)() == default
            assert f"`{type(default).__name__}()`" == table[each.name][0]
        else:
            assert ("" if default is MISSING else f"`{default!r}`") == table[each.name][0]


def test_every_error_is_there_with_a_cure():
    """Each class of the tree has a row, each row a cure, and what is built in as well is said."""
    table = rows("Errors")
    assert {*errors.__all__, HTTPStatusError.__name__} == set(table)
    for name, (when, cure) in table.items():
        kind = getattr(workerpool, name)
        assert issubclass(kind, WorkerPoolError)
        assert when
        assert cure
        for also in (RuntimeError, ValueError, TimeoutError):
            direct = also in kind.__bases__
            assert direct == (f"Also a `{also.__name__}`" in cure), name


def test_every_call_of_the_pool_is_there():
    """What has no leading underscore is named; the Executor's own included."""
    names = {name for name, _ in inspect.getmembers(WorkerPool) if not name.startswith("_")}
    told = set(re.findall(r"`(\w+)[`(]", SECTIONS["The pool"]))
    assert set() == names - told


def test_every_keyword_of_a_request_is_there():
    """Keywords of `request` without a row fail."""
    names = set(inspect.signature(WorkerPool.request).parameters) - {"self", "method", "url", "options"}
    told = set(re.findall(r"`(\w+)`", SECTIONS["A request"]))
    assert set() == names - told


@pytest.mark.parametrize("kind", [Response, Result], ids=lambda kind: kind.__name__)
def test_everything_of_an_answer_is_there(kind):
    """Each public attribute of an answer is named."""
    names = {name for name in dir(kind) if not name.startswith("_")} - {"close", "without_secrets"}
    told = set(re.findall(r"`(\w+)[`(]", SECTIONS["A request"]))
    assert set() == names - told


def test_every_public_name_is_somewhere():
    """Nothing that is exported is unknown to the documents."""
    docs = Path(__file__).parents[2] / "docs"
    text = " ".join(path.read_text() for path in [*docs.glob("*.md"), docs.parent / "README.md"])
    names = set(workerpool.__all__) - {"__version__"}
    assert set() == {name for name in names if not re.search(rf"\b{name}\b", text)}


def test_the_code_runs(monkeypatch):
    """What is configured holds."""
    monkeypatch.setattr("workerpool.caller.registry._options", {})
    monkeypatch.setattr("workerpool.caller.registry._pools", {})
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    with Site() as site:
        try:
            exec(compile(code, "reference.md", "exec"), {"site": site.url})
        finally:
            for name in ("default", "slow"):
                workerpool.get_pool(name).shutdown()
