"""Rows of an input as items: what a line of text, of CSV or of JSON says."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .errors import InputError
from .item import Item
from .lines import MAX_LINE, Line

__all__ = ["BadLine", "Format", "Row", "header_of", "rows_of_csv", "rows_of_json", "rows_of_text"]

Format: TypeAlias = Literal["text", "csv", "tsv", "jsonl"]
Column: TypeAlias = str | int | None

_FURTHER = ("method", "name", "lane", "priority")  # columns that a header may name beside that of the URLs
_KEYS = frozenset({"url", "method", "headers", "body", "json", "lane", "priority", "name"})
_MOST_ROWS = 1000  # lines that one row of CSV may have; beyond that a quote was forgotten
_LINE_TOO_LONG = f"longer than {MAX_LINE} bytes"


@dataclass(frozen=True, slots=True)
class BadLine:
    """Tell of a line that is no input: its number, from 1, and why."""

    number: int
    reason: str


# An item or what is wrong with its line; how many lines were read with it; the offset behind them.
Row: TypeAlias = tuple[Item | BadLine, int, int]


def rows_of_text(lines: Iterable[Line]) -> Iterator[Row]:
    """Yield the URL of each line; blank lines and those that begin with # are passed over."""
    for number, data, end in lines:
        if (reason := _unreadable(data)) is not None:
            yield BadLine(number, reason), number, end
        elif (url := _text(data).strip(" \t\r")) and not url.startswith("#"):
            yield Item(url=url, line=number), number, end


def rows_of_json(lines: Iterable[Line]) -> Iterator[Row]:
    """Yield what each line of JSON says: an object with the options of an item, or the URL alone."""
    for number, data, end in lines:
        if (reason := _unreadable(data)) is not None:
            yield BadLine(number, reason), number, end
        elif text := _text(data).strip():
            yield _checked(number, lambda text=text, number=number: _json_item(text, number)), number, end  # type: ignore[misc]


def rows_of_csv(lines: Iterable[Line], column: Column, *, tabs: bool = False) -> Iterator[Row]:
    """Yield the row of each record.

    `column` is that of the URLs, by its name or its number from 1; if left out the one called `url`, else the first.
    The first record is a header if the column is given by name, or if what it has in it is no URL by its looks.
    """
    records = _records(lines, tabs=tabs)
    if (first := next(records, None)) is None:
        return
    cells = first[1]
    if isinstance(cells, str):
        raise InputError(f"the first line of the CSV cannot be read: {cells}")
    place, is_header = _place(cells, column)
    names = _names(cells) if is_header else {}
    for number, found, last, end in records if is_header else _chain(first, records):
        if isinstance(found, str):
            yield BadLine(number, found), last, end
        elif found:
            yield (
                _checked(number, lambda found=found, number=number: _csv_item(found, place, names, number)),  # type: ignore[misc]
                last,
                end,
            )


def header_of(lines: Iterable[Line], *, tabs: bool = False) -> list[Line]:
    """Return the lines of the first record of a CSV file, to be put before those that come after a mark."""
    reader = _Reader(lines, tabs=tabs)
    for _ in reader.records():
        return reader.taken
    return []


def _text(data: bytes | None) -> str:
    # Bytes that are no UTF-8 come as in arguments: not replaced by what would be another, valid URL.
    return (data or b"").decode("utf-8", "surrogateescape")


def _unreadable(data: bytes | None) -> str | None:
    if data is None:
        return _LINE_TOO_LONG
    return "it has a NUL byte; is this a file of text?" if b"\0" in data else None


def _checked(number: int, make: Callable[[], Item]) -> Item | BadLine:
    try:
        return make()
    except RecursionError:
        return BadLine(number, "nested too deeply")
    except ValueError as exc:
        return BadLine(number, str(exc))


def _url(given: object) -> str:
    if not isinstance(given, str) or not (url := given.strip(" \t\r\n")):
        raise ValueError("it has no url")
    return _utf8(url, "url")


def _utf8(text: str, name: str) -> str:
    r"""Return the text; what JSON can write and nothing can send, half a pair as \ud800, is refused."""
    if any("\ud800" <= each < "\udc80" or "\udcff" < each <= "\udfff" for each in text if each >= "\ud800"):
        raise ValueError(f"its {name} has half a surrogate pair")
    return text


# JSON


def _json_item(text: str, number: int) -> Item:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"no JSON: {exc.msg} at column {exc.colno}") from None
    if isinstance(given, str):
        return Item(url=_url(given), line=number)
    if not isinstance(given, dict):
        raise ValueError("it is neither a JSON object nor a string")
    if unknown := given.keys() - _KEYS:
        raise ValueError(f"unknown keys {_listed(unknown)}; there are {', '.join(sorted(_KEYS))}")
    body, kind = _body(given)
    return Item(
        url=_url(given.get("url")),
        method=_word(given, "method") or ("GET" if body is None else "POST"),
        headers=_headers(given.get("headers"), kind),
        body=body,
        lane=_word(given, "lane"),
        priority=_priority(given.get("priority")),
        name=_word(given, "name"),
        line=number,
    )


def _word(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"its {key} must be a string that is not empty")
    return None if value is None else _utf8(value, key)


def _priority(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("its priority must be a whole number")
    if not -(2**31) <= value < 2**31:
        raise ValueError("its priority must lie within 32 bits")
    return value


def _body(given: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    """Return the body, and the Content-Type that goes with it."""
    if given.get("body") is not None and "json" in given:
        raise ValueError("it has both body and json")
    if "json" in given:
        return json.dumps(given["json"], separators=(",", ":"), allow_nan=False).encode(), "application/json"
    if (body := given.get("body")) is None:
        return None, None
    if not isinstance(body, str):
        raise ValueError("its body must be a string; json takes any value")
    return _utf8(body, "body").encode("utf-8", "surrogateescape"), None


def _headers(given: object, kind: str | None) -> tuple[tuple[str, str], ...]:
    pairs: list[Any] = list(given.items()) if isinstance(given, dict) else [] if given is None else given  # type: ignore[assignment]
    if not isinstance(pairs, list) or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("its headers must be an object, or a list of pairs")
    if any(not isinstance(part, str) for pair in pairs for part in pair):
        raise ValueError("names and values of its headers must be strings")
    headers = [(_utf8(name, "headers"), _utf8(value, "headers")) for name, value in pairs]
    if kind is not None and all(name.lower() != "content-type" for name, _ in headers):
        headers.append(("Content-Type", kind))
    return tuple(headers)


def _listed(names: Iterable[object], most: int = 5) -> str:
    shown = [ascii(str(name)[:40]) for name in names]
    return ", ".join(sorted(shown)[:most]) + (", ..." if len(shown) > most else "")


# CSV

# The number of a record's first line, its cells or what is wrong with it, the number of its last line, the offset.
_Record: TypeAlias = tuple[int, list[str] | str, int, int]


def _records(lines: Iterable[Line], *, tabs: bool) -> Iterator[_Record]:
    return _Reader(lines, tabs=tabs).records()


def _chain(first: _Record, rest: Iterator[_Record]) -> Iterator[_Record]:
    yield first
    yield from rest


class _Reader:
    """Read records line by line; of one that does not end only the first line is lost."""

    def __init__(self, lines: Iterable[Line], *, tabs: bool) -> None:
        self._lines = iter(lines)
        self._again: deque[Line] = deque()  # lines that a record took without coming to its end
        self.taken: list[Line] = []
        self._tabs = tabs

    def records(self) -> Iterator[_Record]:
        """Yield the records; those of blank lines have no cells."""
        head = self._next()
        if head is None:
            return
        self._again.append(head)
        reader = csv.reader(self._feed(), delimiter="\t" if self._tabs else _delimiter(_text(head.data)), strict=True)
        while (first := self._next()) is not None:
            self.taken = []
            if (reason := _unreadable(first.data)) is not None:
                yield first.number, reason, first.number, first.end
                continue
            self._again.appendleft(first)
            cells = self._record(reader)
            last = self.taken[-1]
            yield first.number, cells, last.number, last.end

    def _record(self, reader: Any) -> list[str] | str:
        try:
            return next(reader)  # type: ignore[no-any-return]
        except (csv.Error, StopIteration) as exc:
            self._again.extendleft(reversed(self.taken[1:]))
            del self.taken[1:]
            return f"no CSV: {exc}" if str(exc) else "no CSV: unexpected end of data"

    def _next(self) -> Line | None:
        return self._again.popleft() if self._again else next(self._lines, None)

    def _feed(self) -> Any:
        return _Feed(self._take)

    def _take(self) -> str:
        line = self._next()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        if _unreadable(line.data) is not None or len(self.taken) > _MOST_ROWS:
            raise csv.Error("a quote is opened and not closed")
        return _text(line.data) + "\n"


class _Feed:
    """Iterate over what a function returns; unlike a generator it goes on after an error."""

    def __init__(self, take: Callable[[], str]) -> None:
        self._take = take

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        return self._take()


def _delimiter(head: str) -> str:
    """Return what stands between the cells: of a line with URLs a comma, for the others may be part of them."""
    return "," if "://" in head else max(",;\t", key=head.count)


def _place(cells: list[str], column: Column) -> tuple[int, bool]:
    """Return the index of the column, and whether the first record is a header."""
    names = [cell.strip().casefold() for cell in cells]
    if isinstance(column, str):
        if column.strip().casefold() not in names:
            raise InputError(f"the CSV has no column {column!a}; it has {_listed(cells, 20) or 'none'}")
        return names.index(column.strip().casefold()), True
    if column is None:
        column = names.index("url") + 1 if "url" in names else 1
    if isinstance(column, bool) or column < 1:
        raise InputError("column must be a name, or a number from 1")
    if column > len(cells):
        raise InputError(f"the CSV has no column {column}; it has {len(cells)}")
    return column - 1, not set(cells[column - 1]) & set(":/.")


def _names(cells: list[str]) -> dict[str, int]:
    """Return where the further columns are, each the first of its name."""
    names = [cell.strip().casefold() for cell in cells]
    return {name: names.index(name) for name in _FURTHER if name in names}


def _csv_item(cells: list[str], place: int, names: Mapping[str, int], number: int) -> Item:
    if place >= len(cells):
        raise ValueError(f"it has {len(cells)} columns; the URL would be in number {place + 1}")
    said = {name: cells[index].strip() for name, index in names.items() if index < len(cells)}
    priority = said.get("priority") or "0"
    if not priority.lstrip("+-").isdecimal() or len(priority) > 11:
        raise ValueError("its priority must be a whole number")
    return Item(
        url=_url(cells[place]),
        method=said.get("method") or "GET",
        lane=said.get("lane") or None,
        priority=_priority(int(priority)),
        name=said.get("name") or None,
        line=number,
    )
