"""docs/inside.md and its picture name what is in the tree, and the files of a walk as they are entered."""

import ast
import builtins
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from house import PACKAGE, House

from workerpool.handover.deadlines import GRAIN

ROOT = PACKAGE.parent
PAGE = (ROOT / "docs" / "inside.md").read_text()
PICTURE = (ROOT / "docs" / "inside" / "threads.svg").read_text()
HOUSE = House()
ROOMS = ("bells", "handover", "messages", "transport", "worker", "caller")
FUNCTIONS = {node.name for file in HOUSE.files.values() for node in file.of(ast.FunctionDef, ast.AsyncFunctionDef)}


def members(kind):
    """Yield what a class calls its own: methods, attributes."""
    for node in kind.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target])
    for node in ast.walk(kind):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


CLASSES = defaultdict(set)
for each in (node for file in HOUSE.files.values() for node in file.of(ast.ClassDef)):
    CLASSES[each.name] |= set(members(each))


def section(title):
    """Return what stands beneath a title."""
    return re.split(r"^#+ .*$", PAGE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.M)[0]


def named():
    """Yield what the page names of the tree; `.method` in a row is of the class that the row, or one above it, begins with."""
    kind = ""
    for line in PAGE.splitlines():
        for name in re.findall(r"`([^`]+)`", line):
            kind = name if line.startswith(f"| `{name}` |") else kind
            yield f"{kind}{name}" if re.fullmatch(r"\.\w+", name) else name


def is_there(name):
    """Whether a name is one of the tree's, or of Python's; None for what is none of a file, a class or a function."""
    kind, _, member = name.partition(".")
    if name.endswith(".py"):
        return (PACKAGE / name).is_file()
    if re.fullmatch(r"\w+\(\)", name):
        return name[:-2] in FUNCTIONS
    if re.fullmatch(r"_?[A-Z]\w*(\.\w+)?", name):
        return member in {"", *CLASSES[kind]} if kind in CLASSES else hasattr(builtins, name)
    return None


def locks():
    """Return the locks of the rooms that both sides enter, but for gates, each of which is opened once."""
    found = set()
    for file in (file for file in HOUSE.files.values() if file.room in ROOMS):
        for kind in (file.tree, *file.of(ast.ClassDef)):
            for node in ast.walk(kind) if isinstance(kind, ast.ClassDef) else kind.body:
                if isinstance(node, ast.Assign) and re.fullmatch(r"threading\.R?Lock\(\)", ast.unparse(node.value)):
                    name = ast.unparse(node.targets[0]).removeprefix("self.")
                    place = f"{file.name.replace('.', '/')}.py"
                    found.add(f"{kind.name}.{name}" if isinstance(kind, ast.ClassDef) else f"{name}, {place}")
    return {each for each in found if not each.endswith("gate")}


@pytest.fixture(scope="module")
def walks():
    script = Path(__file__).with_name("house.py")
    done = subprocess.run([sys.executable, script, "--walk", "--json"], capture_output=True, timeout=80, check=True)
    return json.loads(done.stdout)


def test_all_that_is_named_is_in_the_tree():
    """Files, classes with their methods and attributes, and functions; in the picture classes."""
    found = {name: is_there(name) for name in named()}
    assert [] == [name for name, there in found.items() if there is False]
    assert 150 < sum(there is not None for there in found.values())
    drawn = set(re.findall(r"\b[A-Z][a-z]\w+", " ".join(re.findall(r"<text[^>]*>([^<]*)", PICTURE))))
    assert {"Future"} == drawn - CLASSES.keys()
    assert f"slots of {1000 * GRAIN:g} ms" in PICTURE


@pytest.mark.parametrize(("title", "way"), [("A request", "get"), ("A stream", "stream"), ("An error", "error")])
def test_a_walk_enters_the_files_in_their_order(walks, title, way):
    """Each step that begins with a file is where that is entered first; files that no step names may come in between."""
    steps = [step[:-3].replace("/", ".") for step in re.findall(r"^\d+\. `([^`]+\.py)`:", section(title), flags=re.M)]
    entered = walks[f"walk of {way}"]
    assert 3 < len(steps)
    assert [file for file in entered if file in steps] == steps


def test_the_locks_are_those_in_the_source():
    """All of them, and no others."""
    rows = re.findall(r"^\| (`.*?`) \|", section("Locks"), flags=re.M)
    assert locks() == {row.replace("`", "") for row in rows}


def test_the_glossary_has_fifteen_words():
    """Each is told in one sentence, and used on the page."""
    told = re.findall(r"^\| \*\*(\w+)\*\* \| ([^|]+) \|$", section("Glossary"), flags=re.M)
    assert 15 == len({word for word, _ in told}) == len(told)
    assert [] == [word for word, text in told if text.count(". ") or not text.endswith(".")]
    assert [] == [word for word, _ in told if not re.search(rf"(?i)\b{word}", PAGE.partition("# Glossary")[0])]


def test_every_policy_has_its_thread():
    """Whoever adds one says who may touch it."""
    policies = {
        kind
        for path in (PACKAGE / "policies").glob("*.py")
        for kind in re.findall(r"^class ([A-Z]\w+)", path.read_text(), re.M)
    }
    assert policies <= set(re.findall(r"`(\w+)`", section("Who may touch what")))
