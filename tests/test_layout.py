"""The plan of the house: floors without circles, one home per library, rooms that one can live in."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "workerpool"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = {
    "_version": 0, "bells": 0, "loops": 0, "redaction": 0, "errors": 0, "settings": 0, "stats": 0,
    "messages": 1, "lane": 2, "handover": 3, "policies": 4, "transport": 5, "worker": 6, "caller": 7,
    "face": 8, "testing": 9, "adapters": 9, "cli": 10, "__init__": 10, "__main__": 11,
}  # fmt: skip
HOMES = {
    "janus": {"handover"},
    "aiohttp": {"transport", "testing"},
    "rich": {"cli"},
    "click": {"cli"},
    "uvloop": {"loops"},
    "requests": {"adapters", "cli"},
    "urllib3": {"adapters"},
    "httpx": {"adapters"},
    "prometheus_client": {"adapters"},
}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path):
    """Yield (absolute module) for each import that runs; those for type checkers only do not count."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    here = ("workerpool", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level] if node.level else ()
            yield ".".join([*base, *(node.module or "").split(".")]).rstrip(".")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_floors_below_only(path):
    """Inside a room files are on one floor; to others the way is down."""
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "workerpool" or len(parts) == 1 or parts[1] == room(path):
            continue
        assert FLOORS[parts[1]] < FLOORS[room(path)], f"{path.name} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_library_has_one_home(path):
    """To replace a library is to rewrite one room."""
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        assert homes is None or room(path) in homes, f"{path.name} imports {module}"


def test_no_room_is_too_large():
    """Files stay under 450 lines, and nine functions in ten under 30."""
    lengths = []
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) < 450, path
        lengths += [
            node.end_lineno - node.lineno + 1
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    lengths.sort()
    assert lengths[len(lengths) // 2] < 9
    assert lengths[len(lengths) * 9 // 10] < 30
