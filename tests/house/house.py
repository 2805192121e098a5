"""Count the house: rooms, floors, arrows, circles, sizes; and, with --walk, the rooms that a request visits.

    python tests/house/house.py
    python tests/house/house.py --walk --json

A room is a folder of the package, or a file that lies flat at its top. Nothing here judges: tests/house/test_layout.py does.
"""

import argparse
import ast
import json
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["PACKAGE", "House"]

PACKAGE = Path(__file__).resolve().parents[2] / "workerpool"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Graph = Mapping[str, set[str]]


class File:
    """One file: its dotted name below the package, its room and its tree."""

    def __init__(self, path: Path, package: Path) -> None:
        self.path = path
        self.parts = path.relative_to(package).with_suffix("").parts
        self.name = ".".join(self.parts)
        self.room = self.parts[0]
        self.tree = ast.parse(path.read_text())
        self.lines = path.read_text().count("\n")

    @cached_property
    def comments(self) -> int:
        """Lines that are only a comment."""
        with self.path.open("rb") as file:
            found = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
        return sum(token.line.lstrip().startswith("#") for token in found)

    def of(self, *kinds: type[ast.AST]) -> Iterator[Any]:
        """Yield the nodes of these kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def imports(self) -> Iterator[tuple[tuple[str, ...], bool]]:
        """Yield what is imported, absolute, with the name that is asked for last; and whether for type checkers only."""
        unrun = {
            id(node) for test in self.of(ast.If) if _is_for_types(test) for part in test.body for node in ast.walk(part)
        }
        for node in self.of(ast.Import, ast.ImportFrom):
            if isinstance(node, ast.Import):
                targets = [tuple(alias.name.split(".")) for alias in node.names]
            else:
                here = (PACKAGE.name, *self.parts)
                base = here[: len(here) - node.level] if node.level else ()
                module = tuple(node.module.split(".")) if node.module else ()
                targets = [(*base, *module, alias.name) for alias in node.names]
            yield from ((target, id(node) in unrun) for target in targets)

    def defined(self) -> set[str]:
        """Return the private names that are made here."""
        found = {node.name for node in self.of(*_FUNCTIONS, ast.ClassDef)} | {node.arg for node in self.of(ast.arg)}
        found |= {node.id for node in self.of(ast.Name) if isinstance(node.ctx, ast.Store)}
        found |= {node.attr for node in self.of(ast.Attribute) if isinstance(node.ctx, ast.Store) and _is_own(node)}
        found |= {node.value for node in self.of(ast.Constant) if isinstance(node.value, str)}  # __slots__, setattr
        return {name for name in found if _is_private(name)}

    def borrowed(self) -> set[str]:
        """Return the private names that are read or set on others than self and cls."""
        return {node.attr for node in self.of(ast.Attribute) if _is_private(node.attr) and not _is_own(node)}


class House:
    """All files of a package, and what can be counted over them."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self.files = {file.name: file for file in (File(path, package) for path in sorted(package.rglob("*.py")))}
        self.rooms = sorted({file.room for file in self.files.values()})

    def file_of(self, target: tuple[str, ...]) -> File | None:
        """Return the file that an import leads to: the last part may be a name in it."""
        if target[0] != PACKAGE.name:
            return None
        for parts in (target[1:], target[1:-1]):
            for name in (".".join(parts), ".".join((*parts, "__init__"))):
                if name in self.files:
                    return self.files[name]
        return None

    def arrows(self, *, types: bool, room: str | None = None) -> Graph:
        """Return which rooms import which, or which files of one room; with those for type checkers, or without."""
        found: dict[str, set[str]] = {}
        for file in self.files.values():
            if room not in (None, file.room):
                continue
            begin = file.room if room is None else file.name
            reached = found.setdefault(begin, set())
            for target, only_types in file.imports():
                if (only_types and not types) or (there := self.file_of(target)) is None:
                    continue
                end = there.room if room is None else there.name
                if end != begin and room in (None, there.room):
                    reached.add(end)
        return found

    def circles(self, *, types: bool) -> list[list[str]]:
        """Return the circles of rooms, then those of the files in a room."""
        return [circle for room in (None, *self.rooms) for circle in _circles(self.arrows(types=types, room=room))]

    def underscores(self) -> dict[str, list[str]]:
        """Return private names of other rooms, of aiohttp in transport, and of other libraries, each as "room: name"."""
        made, borrowed = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for file in self.files.values():
            made[file.room] |= file.defined()
            borrowed[file.room] |= file.borrowed()
        everywhere = set().union(*made.values())
        known, theirs = self.arrows(types=True), _names_of_aiohttp()
        found: dict[str, list[str]] = {"across rooms": [], "aiohttp's": [], "other libraries'": []}
        for room in self.rooms:
            ours = everywhere
            if room == "transport":  # names that are alike by chance are aiohttp's
                ours = set().union(*(made[other] for other in known[room])) - theirs
            for name in sorted(borrowed[room] - made[room]):
                kind = "across rooms" if name in ours else "aiohttp's" if room == "transport" else "other libraries'"
                found[kind].append(f"{room}: {name}")
        return found

    def attributes(self) -> Counter[str]:
        """Return how many attributes each class sets on self."""
        found: Counter[str] = Counter()
        for file in self.files.values():
            for each in file.of(ast.ClassDef):
                own = (node for node in ast.walk(each) if isinstance(node, ast.Attribute) and _is_own(node))
                found[f"{file.name}.{each.name}"] = len({node.attr for node in own if isinstance(node.ctx, ast.Store)})
        return found

    def counts(self) -> dict[str, Any]:
        """Return all figures by name."""
        files = list(self.files.values())
        functions = sorted(node.end_lineno - node.lineno + 1 for file in files for node in file.of(*_FUNCTIONS))
        run, all_arrows = self.arrows(types=False), self.arrows(types=True)
        lines = [file.lines for file in files]
        private = self.underscores()
        return {
            "rooms": len(self.rooms),
            "files": len(files),
            "files flat at the top": sum(len(file.parts) == 1 for file in files),
            "floors": _floors(run),
            "arrows": sum(map(len, all_arrows.values())),
            "arrows for types only": sum(map(len, all_arrows.values())) - sum(map(len, run.values())),
            "circles of rooms, at run time": _circles(run),
            "circles of rooms, with types": _circles(all_arrows),
            "circles of files, with types": self.circles(types=True)[len(_circles(all_arrows)) :],
            "most attributes": dict(self.attributes().most_common(5)),
            "underscores across rooms": private["across rooms"],
            "underscores of aiohttp, in transport": private["aiohttp's"],
            "underscores of other libraries": private["other libraries'"],
            "function lines, median / p90 / max": [median(functions or [0]), *functions[len(functions) * 9 // 10 :][:1], *functions[-1:]],
            "file lines, median / max": [median(lines), max(lines)],
            "lines that are only a comment, %": round(100 * sum(file.comments for file in files) / sum(lines), 1),
        }  # fmt: skip


def _names_of_aiohttp() -> set[str]:
    spec = find_spec("aiohttp")
    sources = Path(spec.origin).parent.glob("*.py") if spec and spec.origin else ()
    return {name for path in sources for name in re.findall(r"\b_[a-z]\w*", path.read_text())}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name.isidentifier() and name != "_"


def _is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_for_types(node: ast.If) -> bool:
    return "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", ""))


def _reached(graph: Graph, begin: str) -> set[str]:
    """Return all that arrows lead to from here, this one only if by a circle."""
    found: set[str] = set()
    waiting = list(graph.get(begin, ()))
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting += graph.get(each, ())
    return found


def _circles(graph: Graph) -> list[list[str]]:
    reached = {each: _reached(graph, each) for each in graph}
    found = {tuple(sorted(b for b in reached[a] if a in reached.get(b, ()))) for a in graph if a in reached[a]}
    return [list(circle) for circle in sorted(found)]


def _floors(graph: Graph) -> int:
    """Return how many rooms the longest chain of imports has; a circle counts as one."""
    reached = {each: _reached(graph, each) for each in graph}
    heights: dict[str, int] = {}
    for each in sorted(graph, key=lambda name: len(reached[name] - {name})):
        below = (heights.get(other, 0) for other in graph[each] if each not in reached.get(other, ()))
        heights[each] = 1 + max(below, default=0)
    return max(heights.values())


def _row(name: str, value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key} {number}" for key, number in value.items())
    elif isinstance(value, list) and name.startswith(("circles", "underscores")):
        shown = [" <> ".join(each) if isinstance(each, list) else each for each in value]
        value = f"{len(value)}{': ' if shown else ''}{', '.join(shown)}"
    elif isinstance(value, list):
        value = " / ".join(f"{each:g}" for each in value)
    return f"{name:38}{value}"


def main() -> None:
    """Print a table, or the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--walk", action="store_true", help="follow a get, a stream and an error as well")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = House().counts()
    walked = {}
    if options.walk:
        from walks import walks  # only this needs the package and what it needs

        walked = walks(PACKAGE)
    rows = [_row(name, value) for name, value in counts.items()]
    for way, files in walked.items():
        rooms = list(dict.fromkeys(file.split(".")[0] for file in files))
        rows.append(_row(f"walk of {way}", f"{len(rooms)} rooms, {len(files)} files: {', '.join(rooms)}"))
    figures = counts | {f"walk of {way}": files for way, files in walked.items()}
    print(json.dumps(figures, indent=1) if options.json else "\n".join(rows))


if __name__ == "__main__":
    main()
