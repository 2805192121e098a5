"""Only errors of the pool come out of a verb: what names, certificates, codings and libraries make of a request."""

import importlib.util
import logging
import pickle
import socket
import ssl

import aiohttp
import pytest
from faults.server import Listener
from faults.wire import answer, chunk, head, read_head

import workerpool
from workerpool import (
    ConnectionLost,
    InvalidRequest,
    ProtocolError,
    ReadTimeout,
    Request,
    RequestError,
    Retry,
    Timeout,
    TLSError,
    WorkerPool,
)
from workerpool.policies.retry import wait_before_retry
from workerpool.transport.inside.fast_path import FastPath

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
QUICK = Retry(attempts=3, wait_initial=0.001, wait_jitter=0)
NO_HOSTS = ["http://a..b/", "http://.invalid/", f"http://{'x' * 70}.invalid/"]


@pytest.fixture
def serve():
    """Answer every request with these bytes; yields the URL and the heads that came."""
    listeners = []

    def start(*parts, close=False, tls=None):
        seen = []

        def talk(connection):
            with (
                connection
                if tls is None
                else tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as connection
            ):
                answer_all(connection)

        def answer_all(connection):
            if tls is not None:
                try:
                    connection.do_handshake()
                except ssl.SSLError:
                    while socket.socket.recv(connection, 2**16):  # a close right now could overtake the alert
                        pass
                    return
            while request := read_head(connection):
                seen.append(request)
                connection.sendall(b"".join(parts))
                if close:
                    return

        listeners.append(Listener(talk))
        return f"{'http' if tls is None else 'https'}://127.0.0.1:{listeners[-1].port}/", seen

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("url", NO_HOSTS)
def test_a_host_that_cannot_be_one_is_an_invalid_request(url, pool):
    """By every way of asking, and the URL is named."""
    with pytest.raises(InvalidRequest, match="label") as caught:
        pool.get(url)
    assert url == caught.value.url
    with pytest.raises(InvalidRequest):
        pool.submit(url).result(20)
    assert [InvalidRequest] == [type(result.error) for result in pool.fetch_many([url])]
    with pytest.raises(InvalidRequest), pool.stream("GET", url):
        pass
    with pytest.raises(InvalidRequest, match="label"), pool.websocket(url.replace("http", "ws")):
        pass
    assert pool.drain(10)


@pytest.mark.parametrize("url", NO_HOSTS)
def test_a_redirect_to_such_a_host_is_the_servers_fault(url, pool, serve):
    """ProtocolError: nobody here has named it."""
    start, _seen = serve(head(f"Location: {url}", "Content-Length: 0", status="302 Found"))
    with pytest.raises(ProtocolError, match="redirects"):
        pool.get(start)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_missing_is_told_once(version, loop, serve):
    """In TLS 1.3 the server says so after the handshake; it is TLSError all the same."""
    authority = pytest.importorskip("trustme").CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    url, seen = serve(answer(), tls=context)
    with WorkerPool(ssl=trusting, event_loop=loop, retry=QUICK) as pool, pytest.raises(TLSError) as told:
        pool.get(url, timeout=20)
    assert (1, "tls") == (told.value.attempts, told.value.stage)
    assert not seen


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "chunked, gzip", "deflate,chunked", "br"])
def test_a_transfer_coding_that_nobody_asked_for_is_refused(coding, pool, serve):
    """What is packed on the way is not handed out as if it were the body."""
    url, _seen = serve(head(f"Transfer-Encoding: {coding}"), chunk(b"\x1f\x8b packed"), b"0\r\n\r\n", close=True)
    with pytest.raises(ProtocolError):
        pool.get(url, retry=None)
    with pytest.raises(ProtocolError), pool.stream("GET", url, retry=None) as stream:
        stream.read()


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "identity, chunked"])
def test_chunks_are_as_good_as_ever(coding, pool, serve):
    """Upper case, and the coding that is none."""
    url, _seen = serve(head(f"Transfer-Encoding: {coding}"), chunk(b"the body"), b"0\r\n\r\n", close=True)
    assert b"the body" == pool.get(url).content


@pytest.mark.parametrize(
    "value",
    [
        "1 Jan 20000000000000000000 00:00:00 GMT",
        "Fri, 31 Dec 1999 23:59:59 +99999999999999",
        "Fri, 31 Dec 0000 23:59:59 GMT",
        "1" * 400,
        "²",
        "-1",
        "1e400",
        "nan",
        "Fri, 31 Dec 1999 99:99:99 GMT",
    ],
)
def test_a_server_cannot_end_a_request_by_its_retry_after(value, pool, serve):
    """What cannot be read counts as not said; what is beyond the deadline is not waited for."""
    url, seen = serve(head(f"Retry-After: {value}", "Content-Length: 0", status="503 Busy"))
    with WorkerPool(retry=QUICK, timeout=20) as patient:
        assert 503 == patient.get(url, headers={"X": "1"}).status_code
    assert len(seen) in (1, 2, 3)


def test_a_pause_that_cannot_be_counted_is_the_longest():
    """Whatever the base and the attempt."""
    retry = Retry(attempts=5000, wait_max=7, wait_jitter=0, wait_exp_base=10)
    assert 7 == wait_before_retry(retry, Request("http://host.test/"), 4000, ConnectionLost("lost"))


def test_a_silence_says_how_long_it_was(pool, serve):
    """The seconds, and what would change them."""
    url, _seen = serve(head("Content-Length: 10"))
    for timeout in (Timeout(read=0.3), (None, 0.3)):
        with pytest.raises(ReadTimeout, match=r"sent nothing for 0\.3 s; raise Timeout\.read"):
            pool.get(url, timeout=timeout, retry=None)


def test_an_errors_reason_is_a_fact(pool, serve):
    """It is set where the fault is found, and survives pickling."""
    cut, _seen = serve(b"HTTP/1.1 200 OK\r\nX-Half", close=True)
    length, _seen = serve(head("Content-Length: 5", "Content-Length: 6"))
    for url, reason in ((cut, "head-cut"), (length, "bad-length")):
        with pytest.raises(RequestError) as caught:
            pool.get(url, retry=None)
        assert reason == caught.value.reason == pickle.loads(pickle.dumps(caught.value)).reason
    greeting, _seen = serve(b"220 mail.example ESMTP ready\r\n", close=True)
    with pytest.raises(ProtocolError, match="is not valid HTTP") as caught:
        pool.get(f"{greeting}/Content-Length", retry=None)  # a word of the URL's says nothing
    assert "" == caught.value.reason
    with pytest.raises(InvalidRequest) as caught:
        Request.prepared("GET", "http://host.test/", [("X", "a\r\nb")], None)
    assert "bad-header" == caught.value.reason
    assert "" == ConnectionLost("x").reason == pickle.loads(pickle.dumps(ConnectionLost("x"))).reason


class Unforeseen(Exception):
    """What no library should raise."""


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_error_that_nobody_foresaw_is_ours(method, pool, serve, monkeypatch, caplog):
    """Neither its text, which may hold a secret, nor its class comes out; the next request is right."""
    url, _seen = serve(answer())
    with monkeypatch.context() as patched:

        async def start(self, connection):
            raise Unforeseen("SECRET")

        def note(self, *answer):
            raise Unforeseen("SECRET")

        patched.setattr(aiohttp.ClientResponse, "start", start)
        patched.setattr(FastPath, "note", note)
        with pytest.raises(ProtocolError, match="Unforeseen") as caught:
            pool.request(method, url)
        assert "SECRET" not in str(caught.value)
        assert caught.value.__cause__ is None
        with pytest.raises(ProtocolError, match="Unforeseen"), pool.stream(method, url):
            pass
    assert pool.request(method, url).ok
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_code_of_the_users_raises_its_own(serve):
    """A middleware's error is not made another, nor that of a connector of one's own."""
    url, _seen = serve(answer())

    async def refuse(request, handler):
        raise Unforeseen("mine")

    class Connector(aiohttp.TCPConnector):
        async def connect(self, *args, **options):
            raise Unforeseen("mine too")

    for lane in ({"middlewares": [refuse]}, {"connector": lambda: Connector(resolver=aiohttp.ThreadedResolver())}):
        with WorkerPool(**lane) as pool:
            with pytest.raises(Unforeseen, match="mine"):
                pool.get(url)
            with pytest.raises(Unforeseen, match="mine"), pool.stream("GET", url):
                pass
            with pytest.raises(Unforeseen, match="mine"), pool.websocket(url):
                pass
            assert pool.drain(10)


async def raise_for_status(request, handler):
    answer = await handler(request)
    answer.raise_for_status()
    return answer


def raising(kind, *args):
    """Return hooks that raise such an error: before the request, and amid aiohttp's own work."""

    async def middleware(request, handler):
        raise kind(*args)

    async def hook(session, context, params):
        raise kind(*args)

    traces = [aiohttp.TraceConfig() for _ in range(3)]
    traces[0].on_request_start.append(hook)
    traces[1].on_connection_create_start.append(hook)
    traces[2].on_request_headers_sent.append(hook)
    return [{"middlewares": [middleware]}, *({"trace_configs": [trace]} for trace in traces)]


@pytest.mark.parametrize("error", [(FileNotFoundError, 2, "no token"), (OSError, "mine"), (TimeoutError, "mine")])
def test_an_error_of_the_system_in_a_hook_is_not_the_networks(serve, error):
    """It is raised as it is, once, and not tried again."""
    url, _seen = serve(answer())
    for lane in raising(*error):
        with WorkerPool(**lane) as pool:
            with pytest.raises(error[0]) as caught:
                pool.get(url)
            assert error == (type(caught.value), *caught.value.args)
            with pytest.raises(error[0]) as caught, pool.stream("GET", url):
                pass
            assert error == (type(caught.value), *caught.value.args)
            with pytest.raises(error[0]) as caught, pool.websocket(url):
                pass
            assert error == (type(caught.value), *caught.value.args)
            assert 2 == sum(each.attempts for each in pool.stats().lanes)


def test_a_middleware_that_makes_an_error_of_a_status_raises_it(serve):
    """The answer was valid HTTP."""
    url, _seen = serve(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
    with WorkerPool(middlewares=[raise_for_status]) as pool, pytest.raises(aiohttp.ClientResponseError) as caught:
        pool.get(url)
    assert 404 == caught.value.status


def test_what_a_middleware_meets_while_it_reads_is_the_networks(serve):
    """A body that is cut is no error of the code that reads it."""
    url, _seen = serve(head("Content-Length: 10"), close=True)

    async def read(request, handler):
        answer = await handler(request)
        await answer.read()
        return answer

    with WorkerPool(retry=None, middlewares=[read]) as pool, pytest.raises(workerpool.TruncatedBody):
        pool.get(url)


async def pass_on(request, handler):
    return await handler(request)


class Through(aiohttp.TCPConnector):
    """A connector of the user's that leaves the work to aiohttp's."""

    async def connect(self, *args, **options):
        return await super().connect(*args, **options)


@pytest.mark.parametrize(
    "lane",
    [
        {"middlewares": [pass_on, pass_on]},
        {"trace_configs": [aiohttp.TraceConfig()]},
        {"connector": lambda: Through(resolver=aiohttp.ThreadedResolver())},
    ],
    ids=["middlewares", "traces", "connector"],
)
def test_what_comes_from_below_the_users_code_is_ours(lane, serve, monkeypatch):
    """Hooks and connectors that hand on have no part in what a server or a library does below them."""
    url, _seen = serve(answer())

    async def start(self, connection):
        raise Unforeseen("SECRET")

    def note(self, *answer):
        raise Unforeseen("SECRET")

    with WorkerPool(**lane) as pool:
        assert pool.get(url).ok
        with monkeypatch.context() as patched:
            # As if aiohttp's own code raised it.
            start.__globals__["__name__"], name = "aiohttp.client_reqrep", start.__globals__["__name__"]
            try:
                patched.setattr(aiohttp.ClientResponse, "start", start)
                patched.setattr(FastPath, "note", note)
                with pytest.raises(ProtocolError, match="Unforeseen"):
                    pool.get(url)
                with pytest.raises(ProtocolError, match="Unforeseen"), pool.stream("GET", url):
                    pass
            finally:
                start.__globals__["__name__"] = name
        assert pool.get(url).ok


def test_requests_errors_name_the_host(serve, free_port):
    """As urllib3's do, where its pool stands; never None."""
    requests = pytest.importorskip("requests")
    from workerpool.adapters.requests import PoolAdapter

    slow, _seen = serve(head("Content-Length: 10"))
    with workerpool.WorkerPool(retry=None) as pool, requests.Session() as session:
        session.mount("http://", PoolAdapter(pool))
        with pytest.raises(requests.ConnectionError) as refused:
            session.get(f"http://127.0.0.1:{free_port}/path?q=1")
        with pytest.raises((requests.ReadTimeout, requests.ConnectionError)) as silent:
            session.get(slow, timeout=0.3)
        with pytest.raises(requests.exceptions.InvalidHeader):
            session.get(slow, headers={"X": "a\rb"})
    assert f"HTTPConnectionPool(host='127.0.0.1', port={free_port}): Max retries exceeded" in str(refused.value)
    assert "HTTPConnectionPool(host='127.0.0.1'" in str(silent.value)
    assert "None" not in str(refused.value) + str(silent.value)
    assert "127.0.0.1" in repr(refused.value.args[0].pool)
