"""Bad input: a clear typed error at the call, nothing sent, nothing lost."""

import pytest

import workerpool
from workerpool import InvalidRequest, Lane, PoolClosed, Rate, Request, Retry, Timeout, WorkerPool


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "http://", "ftp://host/", "http://[::1", "http://host:99999/", "/relative", "http://a\r\nb/", 7],
)
def test_an_invalid_url_is_refused(pool, url):
    """What is no http URL with a host is refused by every way in."""
    for way in (pool.get, pool.submit, lambda url: pool.submit(Request(url))):
        with pytest.raises((InvalidRequest, TypeError)):
            way(url)
    assert 0 == pool.stats().submitted


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("GE T", {}),
        ("", {}),
        ("GET\r\nX: y", {}),
        ("CONNECT", {}),
        ("GET", {"headers": {"X-A": "b\r\nX-C: d"}}),
        ("GET", {"headers": {"X-A": "b\nd"}}),
        ("GET", {"headers": {"X-A": "b\0"}}),
        ("GET", {"headers": {"X A": "b"}}),
        ("GET", {"headers": {"X-A": 7}}),
        ("GET", {"headers": {"Transfer-Encoding": "chunked"}}),
        ("POST", {"headers": {"Content-Length": "3"}, "data": b"four"}),
        ("GET", {"cookies": {"a": "b; c=d"}}),
        ("GET", {"auth": ("a:b", "c")}),
        ("GET", {"timeout": -1}),
        ("GET", {"timeout": 0}),
        ("GET", {"timeout": float("nan")}),
        ("GET", {"timeout": "5"}),
        ("GET", {"timeout": (1, 2, 3)}),
        ("GET", {"max_body": -1}),
        ("GET", {"retry": 3}),
        ("GET", {"priority": "high"}),
        ("POST", {"data": 7}),
        ("POST", {"json": {1, 2}}),
        ("POST", {"json": {}, "data": b""}),
        ("POST", {"json": float("inf")}),
    ],
)
def test_an_invalid_request_is_refused(pool, site, method, options):
    """A request that cannot be sent as it is given is refused, and nothing is sent."""
    with pytest.raises(InvalidRequest):
        pool.request(method, site.url_for("/echo"), **options)
    assert (0, 0) == (site.hits, pool.stats().submitted)


def test_an_unknown_option_is_refused(pool, site):
    """A misspelt keyword is a TypeError, as everywhere in Python."""
    for misuse in (
        lambda: pool.get(site.url, tiemout=3),
        lambda: pool.submit(site.url, tiemout=3),
        lambda: WorkerPool(conections=3),
        lambda: pool.session(conections=3),
        lambda: pool.submit(site.url, "by place"),
    ):
        with pytest.raises(TypeError):
            misuse()
    assert 0 == site.hits


def test_an_unknown_lane_is_named(pool):
    """The error names the lane and those that there are."""
    with pytest.raises(InvalidRequest, match=r"'nowhere'.*default"):
        pool.lane("nowhere")


@pytest.mark.parametrize("target", [print, lambda session: None, 7, None, b"http://host/"])
def test_what_is_no_async_function_is_refused(pool, target):
    """A plain function is refused, with the cure."""
    with pytest.raises(TypeError, match="async function"):
        pool.submit(target)


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"workers": "two"},
        {"connections": -1},
        {"queue": 1.5},
        {"headers": {"X": "a\r\nb"}},
        {"base_url": "/relative"},
        {"proxy": "ftp://host"},
        {"event_loop": "twisted"},
        {"connector": object()},
        {"lanes": ["bulk"]},
        {"lanes": [Lane("a"), Lane("a")]},
        {"lanes": [Lane("default")]},
        {"timeout": -1},
    ],
)
def test_impossible_settings_are_refused(options):
    """A pool that cannot be is refused when it is made, and leaves no thread."""
    with pytest.raises(InvalidRequest):
        WorkerPool(**options)


@pytest.mark.parametrize(
    "make", [lambda: Rate(0), lambda: Rate(1, burst=0), lambda: Retry(attempts=0), lambda: Timeout(total=-1)]
)
def test_impossible_values_are_refused(make):
    """Settings are checked when they are made."""
    with pytest.raises(ValueError):
        make()


def test_a_closed_pool_refuses_everything(shared_site):
    """After shutdown each way in raises PoolClosed."""
    pool = WorkerPool(name="gone", lanes=[Lane("other")])
    other = pool.lane("other")
    pool.shutdown()
    for way in (
        lambda: pool.get(shared_site.url),
        lambda: pool.submit(shared_site.url),
        lambda: other.get(shared_site.url),
        lambda: list(pool.fetch_many([shared_site.url])),
        pool.session,
    ):
        with pytest.raises(PoolClosed, match="gone"):
            way()


def test_no_secret_in_a_repr():
    """Neither userinfo, query values nor headers show in what people print."""
    request = Request("GET", "http://user:hunter2@host/p?key=hunter2", headers={"Authorization": "hunter2"})
    lane = Lane(
        "a",
        headers={"X-Api-Key": "hunter2"},
        auth=("u", "hunter2"),
        cookies={"s": "hunter2"},
        proxy="http://u:hunter2@p:1",
    )
    for thing in (request, lane):
        assert "hunter2" not in repr(thing)
    with pytest.raises(InvalidRequest) as caught:
        Request("GET", "http://user:hunter2@host:99999/?key=hunter2")
    assert "hunter2" not in str(caught.value) + repr(caught.value) + str(caught.value.url)


def test_every_error_has_the_root():
    """One `except WorkerPoolError` is enough."""
    for name in workerpool.errors.__all__:
        assert issubclass(getattr(workerpool, name), workerpool.WorkerPoolError)
