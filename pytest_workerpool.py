"""The pytest plugin of workerpool: pools, servers and a pool without a network as fixtures (docs/testing.md).

Each fixture fails the test that leaves something behind. The package is imported by the first fixture, not here: this
file is loaded by every run of pytest.
"""

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from workerpool import WorkerPool
    from workerpool.testing import FakePool, ScriptedSite, TlsSite
    from workerpool.testing.leaks import Watch

_KINDS = ("jobs", "tasks", "threads", "sockets")
_SERVERS = ("workerpool_server", "workerpool_tls_server")
_CLOSING = 5.0  # seconds that a pool without jobs gets to end


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "workerpool(**options): keywords for the WorkerPool of the test's fixtures")
    config.addinivalue_line(
        "markers", f"workerpool_leaks(*kinds): what the test may leave behind: {', '.join(_KINDS)}; none named: all"
    )


@pytest.fixture
def workerpool(request: pytest.FixtureRequest, _workerpool_leaks: "Watch") -> "Iterator[WorkerPool]":
    """A pool; its keywords come from the marker `workerpool`. It trusts the server of `workerpool_tls_server`."""
    from workerpool import WorkerPool

    # Set up before the pool, and so ended after it.
    servers = {name: request.getfixturevalue(name) for name in _SERVERS if name in request.fixturenames}
    options = {"name": "workerpool", **_options(request)}
    if "workerpool_tls_server" in servers:
        options.setdefault("ssl", servers["workerpool_tls_server"].ssl_context)
    _fail_for((yield from _lend(request, WorkerPool(**options))))


@pytest.fixture
def workerpool_fake(request: pytest.FixtureRequest, _workerpool_leaks: "Watch") -> "Iterator[FakePool]":
    """A pool that opens no socket and answers from `workerpool_fake.reply(...)`; keywords as for `workerpool`."""
    from workerpool.testing import FakePool

    pool = FakePool(**{"name": "workerpool-fake", **_options(request)})
    left = yield from _lend(request, pool)
    _fail_for(left, [f"no reply was scripted for {request}" for request in pool.unexpected])


@pytest.fixture
def workerpool_server(_workerpool_leaks: "Watch") -> "Iterator[ScriptedSite]":
    """A real server on this machine, which answers what `workerpool_server.reply(...)` says."""
    from workerpool.testing import ScriptedSite

    with ScriptedSite() as site:
        yield site


@pytest.fixture
def workerpool_tls_server(_workerpool_leaks: "Watch") -> "Iterator[TlsSite]":
    """The same over https; `ssl_context` is a client's that trusts it. Needs the extra `testing`."""
    from workerpool.testing import TlsSite

    try:
        site = TlsSite()
    except ModuleNotFoundError as exc:
        cure = "workerpool_tls_server needs an extra: pip install 'aiohttp-workerpool[testing]'"
        pytest.fail(f"{cure} ({exc})", pytrace=False)
    with site:
        yield site


@pytest.fixture
def _workerpool_leaks(request: pytest.FixtureRequest) -> "Iterator[Watch]":
    """What there was before the first of the fixtures; the others are gone when this one looks again."""
    from workerpool.testing.leaks import Watch

    watch = Watch()
    yield watch
    kinds = _watched(request)
    _fail_for(watch.left(threads="threads" in kinds, sockets="sockets" in kinds))


def _lend(request: pytest.FixtureRequest, pool: Any) -> Generator[Any, None, list[str]]:
    """Hand the pool to the test, then close it and return what the test has left in it."""
    from workerpool.testing.leaks import jobs_left, tasks_left

    yield pool
    kinds = _watched(request)
    left = jobs_left(pool) if "jobs" in kinds else []
    left += tasks_left(pool) if "tasks" in kinds else []
    pool.shutdown(cancel_futures=True, timeout=0 if left else _CLOSING)
    return left


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the keywords of the markers; the nearest to the test wins."""
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers("workerpool"):
        options = {**marker.kwargs, **options}
    return options


def _watched(request: pytest.FixtureRequest) -> set[str]:
    """Return the kinds of leaks that fail this test."""
    kinds = set(_KINDS)
    for marker in request.node.iter_markers("workerpool_leaks"):
        kinds -= set(marker.args or _KINDS)
    return kinds


def _fail_for(left: list[str], wrong: Iterable[str] = ()) -> None:
    """Fail the test for what it has left behind, and for whatever else was wrong."""
    problems = [*(f"the test left behind {each}" for each in left), *wrong]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
