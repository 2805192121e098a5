"""`workerpool demo`: the pool beside a plain client, alone and on threads, on a local site."""

import gzip
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from random import Random
from time import monotonic
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import click

from ..caller.pool import WorkerPool
from .progress import Meter, show_table, show_text

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
Random(1).shuffle(_PATHS)  # slow ones among the others, as on a real site; the same order for all
_THREADS = 32

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
    """Scrape a local site one page at a time, with threads, then with the pool, and compare. Needs no network.

    Exits 0 if every page came right, every way.
    """
    name, get = _plain_get()
    runs = [
        _timed(f"{name}, one at a time", partial(_one_at_a_time, get)),
        _timed(f"{name}, {_THREADS} threads", partial(_with_threads, get)),
        _timed("workerpool", _with_the_pool),
    ]
    columns = ("", "pages", "failures", "seconds", "pages/s", "speed-up")
    show_table("The same pages, the contents checked", columns, [run.row(runs[0]) for run in runs])
    show_text(
        "A tenth of the pages are slow (0.15 s): there waiting together pays. The site is in this very process, a new "
        "one for each, and most of the work is its own; docs/benchmarks.md compares over a fast server."
    )
    if wrong := [path for run in runs for path in run.wrong]:
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
        check(path, *_got(get, site.url_for(path)))


def _with_threads(get: _Get, site: "Site", check: _Check) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        answers = threads.map(partial(_got, get), map(site.url_for, _PATHS))
        for path, answer in zip(_PATHS, answers, strict=True):
            check(path, *answer)


def _got(get: _Get, url: str) -> tuple[int, bytes]:
    """Get a page, again if the server asks for that."""
    status, content = get(url)
    return get(url) if status == 503 else (status, content)


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
    own = threading.local()  # requests does not promise that a session bears several threads

    def get(url: str) -> tuple[int, bytes]:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.trust_env = False
        try:
            response = own.session.get(url, timeout=10)
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
