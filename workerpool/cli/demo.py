"""`workerpool demo`: the pool beside one-at-a-time fetching, on a local site."""

import gzip
import json
import sys
from collections.abc import Callable
from time import monotonic
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import click

from ..pool import WorkerPool
from ..testing.site import Site
from .progress import Meter, show_table

__all__ = ["demo"]

_Get = Callable[[str], tuple[int, bytes]]
_Way = Callable[[Site, list[str], Meter], None]

_MIX = {"/fast/{n}": 120, "/slow/{n}?delay=0.15": 30, "/flaky/{n}": 20, "/redirect/{m}": 20, "/gzip/{n}": 40}
_LARGE = "/large/512"


@click.command()
def demo() -> None:
    """Scrape a local site twice, one page at a time and with the pool, and compare. Needs no network."""
    paths = [path.format(n=n, m=n % 4) for path, number in _MIX.items() for n in range(number)] + [_LARGE] * 10
    sequential = _timed("one at a time, as with requests", paths, _one_at_a_time)
    pooled = _timed("with the pool", paths, _with_the_pool)
    rows = [
        (name, str(len(paths)), str(wrong), f"{seconds:.2f}", f"{len(paths) / seconds:.0f}")
        for name, (seconds, wrong) in (("one at a time", sequential), ("workerpool", pooled))
    ]
    show_table("The same pages of a local site", ("", "pages", "wrong", "seconds", "pages/s"), rows)
    click.echo(f"{sequential[0] / pooled[0]:.1f} times as fast, with the same calls and no thread of your own.")
    sys.exit(1 if sequential[1] or pooled[1] else 0)


def _timed(title: str, paths: list[str], way: _Way) -> tuple[float, int]:
    click.echo(f"Fetching {len(paths)} pages {title} ...", err=True)
    with Site() as site, Meter(len(paths)) as meter:
        began = monotonic()
        way(site, paths, meter)
        return monotonic() - began, meter.failed


def _one_at_a_time(site: Site, paths: list[str], meter: Meter) -> None:
    get = _plain_get()
    for path in paths:
        status, content = get(site.url_for(path))
        if status == 503:
            status, content = get(site.url_for(path))
        meter.count(ok=status == 200 and _is_right(path, content))


def _with_the_pool(site: Site, paths: list[str], meter: Meter) -> None:
    with WorkerPool() as pool:
        for result in pool.fetch_many(map(site.url_for, paths)):
            response = result.response
            meter.count(ok=response is not None and response.ok and _is_right(paths[result.index], response.content))


def _is_right(path: str, content: bytes) -> bool:
    kind, _, rest = path.strip("/").partition("/")
    number = rest.partition("?")[0]
    if kind == "large":
        return len(content) == 1024 * int(number)
    if kind == "gzip":
        return bool(json.loads(content) == {"n": int(number)})
    if kind == "redirect":
        kind, number = "fast", "0"
    return content.startswith(f"{kind} page {number}".encode())


def _plain_get() -> _Get:
    """Return a plain blocking get: requests where it is installed, else the standard library."""
    try:
        import requests  # an optional comparison, no dependency
    except ImportError:
        return _urllib_get
    session = requests.Session()
    session.trust_env = False

    def get(url: str) -> tuple[int, bytes]:
        response = session.get(url, timeout=10)
        return response.status_code, response.content

    return get


def _urllib_get(url: str) -> tuple[int, bytes]:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=10) as response:
            packed = response.headers.get("Content-Encoding") == "gzip"
            return response.status, gzip.decompress(response.read()) if packed else response.read()
    except HTTPError as exc:
        return exc.code, b""
