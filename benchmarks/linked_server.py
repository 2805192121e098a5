"""A site of so many pages, made as they are asked for: `/p/N` links to ten that follow and ten anywhere in it.

    python -m benchmarks.linked_server PORT PAGES

The ten that follow are N * 10 + 1 to N * 10 + 10: so each page is linked from one before it.
"""

import asyncio
import random
import sys
from collections.abc import Iterator
from typing import cast

from .slow_server import serve

__all__: list[str] = []

_LINKS = 10  # of each kind
_END = b"\r\n\r\n"
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {size}\r\n\r\n"
_WORDS = 60  # on a page, so that none is nearly the same as another
_ALL_WORDS = tuple("".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=4 + n % 6)) for n in range(3000))


class _Server(asyncio.Protocol):
    """Answer each request with the page that its path names."""

    def __init__(self, pages: int) -> None:
        self._pages = pages
        self._come = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        *heads, self._come = (self._come + data).split(_END)
        for head in heads:
            number = head.split(b" ", 2)[1].rpartition(b"/")[2]
            self._transport.write(_answer(int(number) if number.isdigit() else 0, self._pages))


def _answer(number: int, pages: int) -> bytes:
    dice = random.Random(number)
    links = "".join(f'<li><a href="/p/{each}">{each}</a>\n' for each in _links(number, pages, dice))
    words = " ".join(dice.choices(_ALL_WORDS, k=_WORDS))
    page = f"<!doctype html><title>Page {number}</title><p>{words}\n<ul>\n{links}</ul>\n"
    return (_HEAD.format(size=len(page)) + page).encode()


def _links(number: int, pages: int, dice: random.Random) -> Iterator[int]:
    first = number * _LINKS + 1
    yield from range(min(first, pages), min(first + _LINKS, pages))
    yield from (dice.randrange(pages) for _ in range(_LINKS))


if __name__ == "__main__":
    serve(int(sys.argv[1]), lambda: _Server(int(sys.argv[2])))
