"""Fields of an answer, by what says where they are: `css:`, `json:`, `header:` or `regex:`.

    extract(response, {"title": "css:title", "price": "css:.p::attr(data-x)", "tag": "header:ETag", "id": "json:a.b.0"})

| | |
|---|---|
| `css:SELECTOR`, `css:SELECTOR::text` | the text of the first element that fits, in one line |
| `css:SELECTOR::attr(NAME)`, `css:SELECTOR::html` | an attribute of it; its HTML |
| `json:a.b.0` | a value of a body that is JSON: by the keys of objects, the numbers of lists; a dot in a key is `\\.` |
| `header:NAME` | a header; several of the name are joined by a comma |
| `regex:PATTERN` | what the first group matches in the text, else all that the pattern does |

`css-all:` and `regex-all:` give a list of all that fit. What is not there is None.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from ..errors import JSONDecodeError
from ..messages.response import Response
from .links import Page, is_selector
from .patterns import compiled

__all__ = ["Extractor", "extract", "parse_fields"]

_MOST = 10_000  # values in one list
_SEARCHED = 2**20  # characters that a pattern is run over
_NAME = re.compile(r"[^\W\d][\w.-]{0,63}")
_CSS = re.compile(r"(.+?)\s*(?:::(text|html|attr\(\s*([^\s()]+)\s*\)))?", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ABSENT = object()

Take: TypeAlias = "Callable[[_Source], Any]"


class _Source:
    """An answer, of which page and JSON are worked out once."""

    def __init__(self, response: Response, page: Page | None) -> None:
        self.response = response
        self._page = page
        self._json: Any = _ABSENT

    @property
    def page(self) -> Page:
        """The page, parsed."""
        if self._page is None:
            self._page = Page(self.response)
        return self._page

    @property
    def json(self) -> Any:
        """The value of the body; None if that is no JSON."""
        if self._json is _ABSENT:
            try:
                self._json = self.response.json()
            except JSONDecodeError:
                self._json = None
        return self._json


class Extractor:
    """Take the same fields of many answers; raises ValueError for what cannot be understood."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._takes = {_checked_name(name): _parsed(name, spec) for name, spec in fields.items()}

    def extract(self, response: Response, page: Page | None = None) -> dict[str, Any]:
        """Return the fields, each None that is not there; `page` is the answer's if it was parsed already."""
        source = _Source(response, page)
        return {name: take(source) for name, take in self._takes.items()}


def extract(response: Response, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of one answer."""
    return Extractor(fields).extract(response)


def parse_fields(given: Iterable[str]) -> dict[str, str]:
    """Return the fields that arguments as `title=css:title` name; raises ValueError."""
    fields: dict[str, str] = {}
    for each in given:
        name, is_there, spec = each.partition("=")
        if not is_there:
            raise ValueError(f"a field is NAME=KIND:WHERE, such as title=css:title, not {each!a}")
        if (name := name.strip()) in fields:
            raise ValueError(f"there are two fields {name!a}")
        fields[name] = spec
    Extractor(fields)
    return fields


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a field begins with a letter, and has letters, digits, _ . and -, not {name!a}")
    return name


def _parsed(name: str, spec: str) -> Take:
    kind, colon, where = spec.partition(":")
    kind, where = kind.strip(), where.strip()
    if not colon or kind not in _KINDS:
        raise ValueError(
            f"field {name!a} must begin with one of {', '.join(f'{each}:' for each in _KINDS)}, not {spec!a}"
        )
    if not where:
        raise ValueError(f"field {name!a} says nothing behind {kind}:")
    try:
        return _KINDS[kind](where)
    except ValueError as exc:
        raise ValueError(f"field {name!a}: {exc}") from None


def _css(where: str, *, every: bool = False) -> Take:
    found = _CSS.fullmatch(where)
    if found is None or "::" in found[1]:
        raise ValueError(f"behind :: comes text, html or attr(NAME) in {where!a}")
    selector, what, attribute = found[1], found[2] or "text", found[3]
    if not is_selector(selector):
        raise ValueError(f"{selector!a} is no CSS selector")
    return partial(_take_css, selector, what, attribute, every)


def _take_css(selector: str, what: str, attribute: str | None, every: bool, source: _Source) -> Any:
    nodes = source.page.tree.css(selector)
    found = [_value(node, what, attribute) for node in (nodes[:_MOST] if every else nodes[:1])]
    return found if every else found[0] if found else None


def _value(node: Any, what: str, attribute: str | None) -> str | None:
    if attribute is not None:
        value = node.attributes.get(attribute.lower(), _ABSENT)
        return None if value is _ABSENT else value or ""  # one without a value is there
    return node.html if what == "html" else " ".join(node.text().split())


def _json(where: str) -> Take:
    steps = [re.sub(r"\\(.)", r"\1", step) for step in re.findall(r"(?:\\.|[^.\\])+", where)]
    if ".".join(re.findall(r"(?:\\.|[^.\\])+", where)) != where:
        raise ValueError(f"{where!a} has an empty step; a key with a dot is written with \\.")
    return partial(_take_json, steps)


def _take_json(steps: list[str], source: _Source) -> Any:
    value = source.json
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and re.fullmatch(r"-?[0-9]{1,9}", step) and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _header(where: str) -> Take:
    if not _TOKEN.fullmatch(where):
        raise ValueError(f"{where!a} is no name of a header")
    return lambda source: ", ".join(source.response.headers.getall(where, ())) or None


def _regex(where: str, *, every: bool = False) -> Take:
    pattern = compiled(where)
    return partial(_take_regex, pattern, every)


def _take_regex(pattern: "re.Pattern[str]", every: bool, source: _Source) -> Any:
    text = source.response.text[:_SEARCHED]
    found = (match[1] if pattern.groups else match[0] for match in pattern.finditer(text))
    return list(islice(found, _MOST)) if every else next(found, None)


_KINDS: Mapping[str, Callable[[str], Take]] = {
    "css": _css,
    "css-all": partial(_css, every=True),
    "json": _json,
    "header": _header,
    "regex": _regex,
    "regex-all": partial(_regex, every=True),
}
