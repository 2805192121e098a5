"""No secret in a message, a repr, a log line, a printed traceback or a pickle."""

import logging
import pickle
import traceback

import aiohttp
import pytest
from servers import Scripted, ok

from workerpool import (
    ConnectError,
    DeadlineExceeded,
    DecodingError,
    HTTPStatusError,
    Lane,
    ProtocolError,
    RequestError,
    Retry,
    TruncatedBody,
    WorkerPool,
)

SECRET = "hunter2"
HEADERS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Cookie": f"s={SECRET}"}


def with_secrets(url: str) -> str:
    return url.replace("http://", f"http://user:{SECRET}@") + f"?token={SECRET}#{SECRET}"


def told(error: BaseException) -> str:
    """Everything that anybody would see of an error."""
    printed = "".join(traceback.format_exception(error))
    again = pickle.loads(pickle.dumps(error))
    # Local variables are not printed; attributes are what a log record or an inspector shows.
    return " ".join([str(error), repr(error), printed, repr(vars(error)), repr(again), repr(vars(again))])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", RequestError),
        (b"nonsense\r\n\r\n", ProtocolError),
        (ok(b"x" * 10)[:-5], TruncatedBody),
        (ok(b"not gzip", b"Content-Encoding: gzip"), DecodingError),
        (b"HTTP/1.1 302 Go\r\nLocation: http://u:hunter2@[broken?x=hunter2\r\nContent-Length: 0\r\n\r\n", RequestError),
        (b"HTTP/1.1 302 Go\r\nLocation: ftp://h/?x=hunter2\r\nContent-Length: 0\r\n\r\n", ProtocolError),
    ],
)
def test_errors_of_the_wire_tell_nothing(pool, caplog, answer, expected):
    """Whatever the server does."""
    caplog.set_level(logging.DEBUG)
    with Scripted([answer]) as server, pytest.raises(expected) as caught:
        pool.get(with_secrets(server.url), headers=HEADERS, retry=None, timeout=5)
    assert SECRET.encode() in server.seen[0]
    assert SECRET not in told(caught.value)
    assert SECRET not in caplog.text


def test_errors_of_connections_deadlines_and_statuses_tell_nothing(pool, shared_site, free_port, caplog):
    """Nor does a refused connection, a deadline, a bad status, a retry hook."""
    caplog.set_level(logging.DEBUG)
    details = []
    retry = Retry(attempts=2, wait_initial=0.001, wait_jitter=0, on_retry=details.append)
    with pytest.raises(ConnectError) as refused:
        pool.get(with_secrets(f"http://127.0.0.1:{free_port}/"), headers=HEADERS, retry=retry)
    with pytest.raises(DeadlineExceeded) as late:
        pool.get(with_secrets(shared_site.url_for("/slow/1")), headers=HEADERS, params={"delay": 5}, timeout=0.05)
    with pytest.raises(HTTPStatusError) as status:
        pool.get(with_secrets(shared_site.url_for("/status/404")), headers=HEADERS).raise_for_status()
    for caught in (refused, late, status):
        assert SECRET not in told(caught.value)
        assert SECRET.encode() not in pickle.dumps(caught.value)
    assert 404 == pickle.loads(pickle.dumps(status.value)).response.status_code
    assert SECRET not in repr(details)
    assert 1 == len(details)
    assert SECRET not in caplog.text


def test_bare_aiohttp_tells_them(run):
    """The hazard is real: the same answer, and the error holds the credentials and does not pickle."""

    async def ask(url):
        async with aiohttp.ClientSession() as session, session.get(url, headers={"X-Api-Key": SECRET}) as response:
            await response.read()

    with Scripted([b"nonsense\r\n\r\n"]) as server, pytest.raises(aiohttp.ClientResponseError) as caught:
        run(ask(server.url + f"?token={SECRET}"))
    assert 400 == caught.value.status
    assert SECRET in repr(caught.value)
    with pytest.raises(TypeError):
        pickle.dumps(caught.value)


def test_trust_env_is_read_once(shared_site, monkeypatch):
    """The environment counts as it was when the lane was opened, and only for lanes that trust it."""
    with Scripted([ok(b"by proxy"), ok(b"by proxy")]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "unproxied.test")
        with WorkerPool(trust_env=True, lanes=[Lane("direct")]) as pool:
            assert b"by proxy" == pool.get("http://host.test/1").content
            monkeypatch.delenv("http_proxy")
            assert b"by proxy" == pool.get("http://host.test/2").content
            assert pool.lane("direct").get(shared_site.url_for("/fast/1")).ok
    assert proxy.seen[0].startswith(b"GET http://host.test/1 HTTP/1.1")


def test_a_cookie_for_a_whole_top_level_domain_is_not_kept(run):
    """`Domain=test` would go to every host under .test; one label is nobody's to claim."""
    from yarl import URL

    from workerpool.transport.cookies import Cookies

    async def kept(make):
        jar = make()
        url = URL("http://shop.test/")
        jar.update_cookies_from_headers(["a=1; Domain=.test", "b=2; Domain=shop.test", "c=3"], url)
        return set(jar.filter_cookies(URL("http://other.test/"))), set(jar.filter_cookies(url))

    assert (set(), {"b", "c"}) == run(kept(Cookies))
    assert ({"a"}, {"a", "b", "c"}) == run(kept(lambda: aiohttp.CookieJar(unsafe=True)))
