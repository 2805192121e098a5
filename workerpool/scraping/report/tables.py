"""Tables of the page; whatever comes from elsewhere is escaped here."""

import re
from collections.abc import Iterable
from html import escape

from .charts import bar, stack
from .hosts import HostFigures
from .words import clean, number_text, seconds_text, size_text

__all__ = ["Cell", "host_key", "host_table", "safe", "table"]

_KINDS = ("2xx", "3xx", "4xx", "5xx", "failed", "skipped")
_LONGEST = 120
_SEAMS = re.compile(r"[.:](?=\w)")  # where a name may be broken


class Cell(str):
    """A piece of HTML that is safe as it stands."""

    __slots__ = ()


def safe(text: object) -> str:
    """Return text as HTML: nothing in it is markup, and what cannot be seen is written out."""
    return escape(clean(str(text)))


def table(heads: Iterable[tuple[str, str]], rows: Iterable[Iterable[object]]) -> str:
    """Return a table; each head has the class of its column (`n` of numbers, `graph`, `name`)."""
    heads = list(heads)
    head = "".join(f'<th class="{kind}" scope="col">{safe(name)}</th>' for name, kind in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row, heads))}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def host_table(hosts: Iterable[HostFigures], most: int, *, sizes: bool) -> str:
    """Return hosts with their outcomes by kind, as parts of the `most` that one has, and how long answers took."""
    heads = [("host", "name"), ("outcomes", "n"), ("by kind", "graph"), ("errors", "n"), ("half within", "n wide"),
             ("19 in 20", "n"), *([("body bytes", "n wide")] if sizes else [])]  # fmt: skip
    return table(heads, (_host_row(each, most)[: len(heads)] for each in hosts))


def host_key() -> str:
    """Return what the colours of `host_table` are."""
    return '<div class="key">' + "".join(f"<span>{bar(1, 'k' + kind)}{kind}</span>" for kind in _KINDS) + "</div>"


def _name_of(host: str) -> str:
    """Return the host as people write it: without the usual ports."""
    return host.removesuffix(":443").removesuffix(":80")[:_LONGEST]


def _host_row(each: HostFigures, most: int) -> list[object]:
    took = each.took
    kinds = Cell(stack((("k" + kind, each.kinds.get(kind, 0)) for kind in _KINDS), most))
    times = [seconds_text(took.percentile(part)) if took.count else "-" for part in (0.5, 0.95)]
    return [
        Cell(_SEAMS.sub(r"<wbr>\g<0>", safe(_name_of(each.host)))),
        number_text(each.count),
        kinds,
        number_text(each.bad),
        *times,
        size_text(each.bytes),
    ]


def _cell(value: object, head: tuple[str, str]) -> str:
    return f'<td class="{head[1]}">{value if isinstance(value, Cell) else safe(value)}</td>'
