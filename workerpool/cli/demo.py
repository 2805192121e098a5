"""`workerpool demo`: the pool beside one-at-a-time fetching, on a local site."""

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import click

from ..pool import WorkerPool
from .progress import Meter, show_table

if TYPE_CHECKING:
    from ..testing.site import Site

__all__ = ["demo"]

_MIX = {
    "/fast/{n}": 200,
    "/slow/{n}?delay=0.15": 40,
    "/flaky/{n}": 40,
    "/redirect/{few}": 40,
    "/gzip/{n}": 60,
    "/large/{kib}": 20,
}
_PATHS = [path.format(n=n, few=n % 4, kib=256 + n) for path, number in _MIX.items() for n in range(number)]

_Get = Callable[[str], tuple[int, bytes]]
_Check = Callable[[str, int, bytes], None]  # path, status, content
_Way = Callable[["Site", _Check], None]


@dataclass(frozen=True, slots=True)
class _Run:
    """What one way of fetching came to."""

    name: str
    seconds: float
    wrong: tuple[str, ...]  # paths

    def row(self, base: "_Run") -> tuple[str, ...]:
        """Return the cells of the table, compared with `base`."""
        return (
            self.name,
            str(len(_PATHS)),
            str(len(self.wrong)),
            f"{self.seconds:.2f}",
            f"{len(_PATHS) / self.seconds:.0f}",
            f"{base.seconds / self.seconds:.1f}x",
        )


@click.command()
def demo() -> None:
    """Scrape a local site one page at a time, then with the pool, and compare. Needs no network.

    Exits 0 if every page came right, both ways.
    """
    name, get = _plain_get()
    plain = _timed(f"{name}, one at a time", partial(_one_at_a_time, get))
    pooled = _timed("workerpool", _with_the_pool)
    columns = ("", "pages", "failures", "seconds", "pages/s", "speed-up")
    show_table("The same pages, the contents checked", columns, [run.row(plain) for run in (plain, pooled)])
    click.echo("A new site for each run, in this very process. Slow pages (0.15 s) are where waiting together pays.")
    if wrong := plain.wrong + pooled.wrong:
        click.echo(f"{len(wrong)} pages came wrong: {', '.join(wrong[:5])} ...", err=True)
        sys.exit(1)


def _timed(name: str, way: _Way) -> _Run:
    from ..testing.site import Site  # here and not above: aiohttp's server side, which --help need not load

    click.echo(f"{len(_PATHS)} pages with {name} ...", err=True)
    wrong: list[str] = []

    with Site() as site, Meter(len(_PATHS)) as meter:

        def check(path: str, status: int, content: bytes) -> None:
            right = status == 200 and content == _expected(path)
            meter.count(ok=right)
            if not right:
                wrong.append(path)

        began = monotonic()
        way(site, check)
        return _Run(name, monotonic() - began, tuple(wrong))


def _one_at_a_time(get: _Get, site: "Site", check: _Check) -> None:
    for path in _PATHS:
        status, content = get(site.url_for(path))
        if status == 503:
            status, content = get(site.url_for(path))
        check(path, status, content)


def _with_the_pool(site: "Site", check: _Check) -> None:
    with WorkerPool() as pool:
        for result in pool.fetch_many(map(site.url_for, _PATHS)):
            status, content = (0, b"") if result.response is None else (result.response.status, result.response.content)
            check(_PATHS[result.index], status, content)


def _expected(path: str) -> bytes:
    kind, number = path.partition("?")[0].strip("/").split("/")
    if kind == "large":
        return b"x" * 1024 * int(number)
    if kind == "gzip":
        return json.dumps({"n": int(number)}).encode()
    if kind == "redirect":
        return _expected("/fast/0")
    text = f"{kind} page {number}"
    return (f"{text} ".ljust(1024, ".") if kind == "fast" else text).encode()


def _plain_get() -> tuple[str, _Get]:
    """Return the name of a plain blocking client and its get: requests if installed, else the standard library."""
    try:
        import requests  # an optional comparison, no dependency
    except ImportError:
        return "urllib", _urllib_get
    session = requests.Session()
    session.trust_env = False

    def get(url: str) -> tuple[int, bytes]:
        try:
            response = session.get(url, timeout=10)
        except OSError:  # every error of requests is one
            return 0, b""
        return response.status_code, response.content

    return "requests", get


def _urllib_get(url: str) -> tuple[int, bytes]:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
            packed = response.headers.get("Content-Encoding") == "gzip"
            return response.status, gzip.decompress(response.read()) if packed else response.read()
    except HTTPError as exc:
        exc.close()
        return exc.code, b""
    except (OSError, HTTPException):
        return 0, b""
