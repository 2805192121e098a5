"""The public API, a line for each name: `python docs/tools/surface.py` writes docs/api.txt, and a test compares.

Names, parameters and defaults, so that a change of these is seen in review; types are mypy's affair. What is inherited
from the standard library is left out, since it differs from version to version.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

__all__ = ["DUMP", "surface"]

DUMP = ROOT / "docs" / "api.txt"
_MODULES = (
    "workerpool",
    "workerpool.adapters.httpx",
    "workerpool.adapters.prometheus",
    "workerpool.adapters.requests",
    "workerpool.errors",
    "workerpool.scraping",
    "workerpool.testing",
)


def surface() -> str:
    """Return all of it, sorted by module and name."""
    lines = [line for name in _MODULES for line in _of_module(name)]
    return "\n".join(lines) + "\n"


def _of_module(name: str) -> Iterator[str]:
    module = import_module(name)
    for each in sorted(module.__all__):
        yield from _of(f"{name}.{each}", getattr(module, each))


def _of(path: str, thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield f"{path}{_signature(thing)}" if callable(thing) else path
        return
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    yield f"class {path}{bases and f'({bases})'}{_made(thing)}"
    for name in sorted(_names(thing)):
        member = inspect.getattr_static(thing, name, None)  # a field without a default is none
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        yield f"  {path}.{name}{_signature(function) if inspect.isfunction(function) else ''}"


def _names(kind: type) -> set[str]:
    """Return the public names that it or a base within the package defines, fields included."""
    ours = [each for each in kind.__mro__ if each.__module__.startswith("workerpool")]
    found = {name for each in ours for name in [*vars(each), *getattr(each, "__annotations__", {})]}
    return {name for name in found if not name.startswith("_")}


def _made(kind: type) -> str:
    init = kind.__init__  # type: ignore[misc]  # that of this very class is looked at
    is_ours = getattr(init, "__module__", "").startswith("workerpool") or hasattr(kind, "__dataclass_fields__")
    return f" {_signature(init)}" if is_ours else ""


def _signature(function: Any) -> str:
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return ""
    given = [each for each in found.parameters.values() if each.name != "self"]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in given]
    text = str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    text = re.sub(r"(?<=\{)[^{}:]+(?=\})", lambda found: ", ".join(sorted(found[0].split(", "))), text)  # sets
    while (plain := re.sub(r"<[^<>]*>", "...", text)) != text:
        text = plain
    return text


if __name__ == "__main__":
    DUMP.write_text(surface(), encoding="utf-8")
