"""The private names of aiohttp that the pool relies on; a release that moves one fails here, loudly."""

import inspect
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from workerpool.transport.inside.contract import _NEEDS, holds


async def make_session():
    async with aiohttp.ClientSession() as session:
        return vars(session)


def test_the_session_has_its_switch_for_sending_again(run):
    """`_retry_connection` is there and on, so that switching it off means something."""
    assert run(make_session())["_retry_connection"] is True
    assert "_retry_connection" in inspect.getsource(aiohttp.ClientSession._request)


def test_the_connector_asks_get_for_idle_connections():
    """`connect` takes idle connections from `_get(key, traces)`, and from nowhere else."""
    assert ["self", "key", "traces"] == list(inspect.signature(aiohttp.BaseConnector._get).parameters)
    source = inspect.getsource(aiohttp.BaseConnector.connect)
    assert "self._get(key, traces)" in source


def test_a_request_is_made_of_the_steps_that_the_pool_replaces():
    """`update_headers`, `update_auto_headers` and `send` are called by these names, with these parameters."""
    assert ["self", "headers"] == list(inspect.signature(aiohttp.ClientRequest.update_headers).parameters)
    assert ["self", "skip_auto_headers"] == list(
        inspect.signature(aiohttp.ClientRequest.update_auto_headers).parameters
    )
    assert ["self", "conn"] == list(inspect.signature(aiohttp.ClientRequest.send).parameters)
    source = inspect.getsource(aiohttp.ClientRequest.__init__)
    assert "self.update_headers(headers)" in source
    assert "self.update_auto_headers(skip_auto_headers)" in source
    assert "await req.send(conn)" in inspect.getsource(aiohttp.ClientSession._request)


def test_the_session_only_reads_what_the_cookie_jar_gives():
    """The pool's jar hands out one empty collection to all; aiohttp adds to it only for `cookies=`, never given."""
    source = inspect.getsource(aiohttp.ClientSession._request)
    assert 1 == source.count("all_cookies.load(")
    assert source.index("if cookies is not None:") < source.index("all_cookies.load(")


def test_a_new_connection_is_made_in_the_steps_that_are_noted():
    """`_resolve_host` and `_factory` are used by these names when a connection is made."""
    assert ["self", "host", "port", "traces"] == list(inspect.signature(aiohttp.TCPConnector._resolve_host).parameters)
    source = inspect.getsource(aiohttp.TCPConnector._create_direct_connection)
    assert "self._resolve_host(host, port, traces=traces)" in source
    assert "self._factory" in source
    assert "self._wrap_create_connection(" in source
    assert "socket_factory=self._socket_factory" in inspect.getsource(aiohttp.TCPConnector._wrap_create_connection)
    assert "self.write_bytes(" in inspect.getsource(aiohttp.ClientRequest.send)


def test_a_tunnel_is_made_in_the_steps_that_are_told_apart():
    """The way to the proxy is told by its kind of error, and `_create_proxy_connection` is used for every proxy."""
    source = " ".join(inspect.getsource(aiohttp.TCPConnector._create_proxy_connection).split())
    assert "self._create_direct_connection( proxy_req, [], timeout, client_error=ClientProxyConnectionError )" in source
    assert source.index("client_error=ClientProxyConnectionError") < source.index("self._start_tls_connection(")
    assert "self._create_proxy_connection(req, traces, timeout)" in inspect.getsource(
        aiohttp.TCPConnector._create_connection
    )
    assert "tls_proto = self._factory()" in inspect.getsource(aiohttp.TCPConnector._start_tls_connection)


def test_what_is_looked_at_when_the_pool_is_imported_is_there():
    """Nothing is missing in the aiohttp that the pool is made for."""
    assert holds(*_NEEDS)


def test_a_protocol_says_when_it_is_to_be_closed():
    """`should_close` and `transport` are what the guard reads."""
    from aiohttp.client_proto import ResponseHandler

    assert isinstance(ResponseHandler.should_close, property)


def test_a_protocol_ends_in_the_steps_that_are_watched():
    """`connection_lost`, `eof_received` and `set_exception` are called, and `_payload` is the body under way."""
    from aiohttp.client_proto import ResponseHandler

    for name in ("connection_lost", "eof_received", "set_exception", "data_received"):
        assert name in vars(ResponseHandler)
    assert "self._payload = payload" in inspect.getsource(ResponseHandler.data_received)
    assert "self.set_exception(exc, underlying_exc)" in inspect.getsource(ResponseHandler.data_received)
    assert "partial(ResponseHandler, loop=loop)" in inspect.getsource(aiohttp.BaseConnector.__init__)


def test_the_fast_path_has_the_parts_that_it_is_made_of(run):
    """`_middlewares` and `_loop` are there, and the steps are those of `ClientSession._request`, but the parser's."""
    assert {"_middlewares", "_loop"} <= run(make_session()).keys()
    assert aiohttp.ClientResponse._raw_cookie_headers is None
    source = " ".join(inspect.getsource(aiohttp.ClientSession._request).split())
    for step in (
        "conn = await self._connector.connect( req, traces=traces, timeout=real_timeout )",
        "conn.protocol.set_response_params(",
        "skip_payload=req.method in EMPTY_BODY_METHODS",
        "resp = await req.send(conn)",
        "await resp.start(conn)",
        "self._cookie_jar.update_cookies_from_headers( resp._raw_cookie_headers, resp.url )",
    ):
        assert step in source


def test_where_there_is_only_the_parser_in_python_aiohttp_does_the_work(as_it_is):
    """Without extensions there is no fast path, one line says so, and all that the pool does is done."""
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert (0, as_it_is) == (done.returncode, json.loads(done.stdout))
    assert "lacks http_parser.HttpResponseParserC, which" in line
    assert line.endswith("each request is aiohttp's own: slower")


def test_a_request_has_the_attributes_that_are_set_in_one_step(run):
    """What aiohttp's `__init__` leaves in a request without a body is what the pool's own step leaves in it."""
    from multidict import CIMultiDict
    from yarl import URL

    from workerpool.transport.inside.request import HttpRequest

    async def both():
        url = URL("http://127.0.0.1:1/a?b#c")
        async with aiohttp.ClientSession() as session:
            long = HttpRequest("GET", url, headers=CIMultiDict(A="b"), loop=session._loop, session=session)
            short = HttpRequest.without_body(session, "GET", url, CIMultiDict(A="b"), True)
            return [{name: getattr(each, name) for name in vars(long)} for each in (long, short)]

    long, short = run(both())
    assert long.pop("_timer").__class__ is short.pop("_timer").__class__
    assert long == short


def test_a_request_is_told_of_its_proxy_after_its_headers():
    """`update_proxy` comes after `update_headers`, and what it leaves in `proxy_headers` is what a CONNECT carries."""
    source = inspect.getsource(aiohttp.ClientRequest.__init__)
    assert source.index("self.update_headers(headers)") < source.index(
        "self.update_proxy(proxy, proxy_auth, proxy_headers)"
    )
    tunnel = inspect.getsource(aiohttp.TCPConnector._update_proxy_auth_header_and_build_proxy_req)
    assert "headers = req.proxy_headers" in tunnel


def test_a_jar_is_made_of_the_steps_that_the_pool_replaces():
    """Set-Cookie lines become morsels whose `coded_value` is what came, and dates are read by `_parse_date`."""
    from aiohttp._cookie_helpers import parse_set_cookie_headers

    ((name, morsel),) = parse_set_cookie_headers(['a="b c"; Domain=x; Domain=Y.test; Path=/; Secure'])
    assert ("a", '"b c"', "Y.test", "/", True) == (
        name,
        morsel.coded_value,
        morsel["domain"],
        morsel["path"],
        morsel["secure"],
    )
    assert 0 == aiohttp.CookieJar._parse_date("Thu, 01 Jan 1970 00:00:00 GMT")
    source = inspect.getsource(aiohttp.CookieJar._update_cookies)
    assert "self._parse_date(expires)" in source
    assert "domain[-1] == " in source
    assert "coded_value = value = cookie.value" in inspect.getsource(aiohttp.CookieJar._build_morsel)
    made = inspect.getsource(aiohttp.ClientRequest.__init__)
    assert made.index("self.update_headers(headers)") < made.index("self.update_cookies(cookies)")


def test_a_session_is_closed_by_the_names_that_are_lent():
    """`async with` calls `close` of the session; a connector's `_close` closes at once, and with it its sessions."""
    assert "await self.close()" in inspect.getsource(aiohttp.ClientSession.__aexit__)
    assert "await self.close()" in inspect.getsource(aiohttp.BaseConnector.__aexit__)
    assert "self._connector.closed" in inspect.getsource(aiohttp.ClientSession.closed.fget)
    assert not inspect.iscoroutinefunction(aiohttp.TCPConnector._close)
    assert "self._closed = True" in inspect.getsource(aiohttp.BaseConnector._close)


def test_names_are_looked_up_through_what_is_given_for_a_loop():
    """aiohttp's resolver and that of python-socks ask two methods of their loop, and nothing else of it."""
    from importlib.util import find_spec

    source = inspect.getsource(aiohttp.ThreadedResolver)
    assert {"self._loop.getaddrinfo(", "self._loop.getnameinfo("} == set(re.findall(r"self\._loop\.\w+\(", source))
    if find_spec("python_socks") is not None:
        from python_socks.async_.asyncio import Proxy
        from python_socks.async_.asyncio._resolver import Resolver

        assert {"self._loop.getaddrinfo("} == set(re.findall(r"self\._loop\.\w+\(", inspect.getsource(Resolver)))
        assert "resolver=self._resolver" in inspect.getsource(Proxy)


def test_a_connection_is_made_in_the_steps_that_are_led_elsewhere():
    """`_create_connection` makes each new one; a tunnel asks `is_ssl`, and ends with `_start_tls_connection`."""
    assert ["self", "req", "traces", "timeout"] == list(
        inspect.signature(aiohttp.TCPConnector._create_connection).parameters
    )
    assert "self._create_connection(req, traces, timeout)" in inspect.getsource(aiohttp.BaseConnector.connect)
    tunnel = " ".join(inspect.getsource(aiohttp.TCPConnector._create_proxy_connection).split())
    assert "if req.is_ssl():" in tunnel
    assert "return await self._start_tls_connection(" in tunnel
    assert "proxy_req.url = req.url" in tunnel
    assert "self._request_class(" in inspect.getsource(aiohttp.ClientSession._request)
    made = inspect.getsource(aiohttp.ClientRequest.__init__)
    assert made.index("self.update_headers(headers)") < made.index("self.update_auth(")


# What happens to a user whom pip brings a release that has moved a name.

NAMES = {
    "_get": "BaseConnector._get",
    "_retry_connection": "ClientSession:_retry_connection",
    "_resolve_host": "TCPConnector._resolve_host",
    "_create_proxy_connection": "TCPConnector._create_proxy_connection",
    "_wrap_create_connection": "TCPConnector._wrap_create_connection",
    "_start_tls_connection": "TCPConnector._start_tls_connection",
    "_socket_factory": "TCPConnector:_socket_factory",
    "_serialize_headers": "http_writer._serialize_headers",
    "_waiters": "BaseConnector:_waiters",
    "update_auto_headers": "ClientRequest.update_auto_headers",
    "update_proxy": "ClientRequest.update_proxy",
    "should_close": "ResponseHandler.should_close",
    "TimerNoop": "helpers.TimerNoop",
    "_cookie_helpers": "_cookie_helpers.parse_set_cookie_headers",
    "client_proto": "client_proto.ResponseHandler",
    "http_exceptions": "http_exceptions.HttpProcessingError",
}
WORK = """
import json, logging, sys
logging.basicConfig(format="%(name)s %(levelname)s %(message)s", level=logging.WARNING)
import workerpool
from workerpool.testing.site import Site

with Site() as site, workerpool.WorkerPool(workers=2) as pool:
    done = [pool.get(site.url_for("/fast/1")).status_code, pool.get(site.url_for("/redirect/2")).status_code]
    done.append(pool.post(site.url_for("/echo"), json={"a": 1}).status_code)
    done.append(len([result.unwrap() for result in pool.fetch_many([site.url_for(f"/page/{n}") for n in range(20)])]))
    done.append(len(pool.get(site.url_for("/gzip/1")).text) > 0)
    with pool.stream("GET", site.url_for("/large/300")) as stream:
        done.append(len(stream.read()))
    with pool.session() as session:
        session.get(site.url_for("/cookies/set?a=1"))
        done.append("a" in session.get(site.url_for("/cookies")).text)
    with workerpool.WorkerPool(proxy=site.url, retry=None) as proxied:  # which is none, and says so by its 404s
        done.append(proxied.get("http://never.invalid/never").status_code)
        try:
            with proxied.websocket("ws://never.invalid/never"):
                pass
        except workerpool.RequestError as exc:
            done.append("404" in str(exc) or isinstance(exc, workerpool.ProxyError))
    try:
        pool.get("http://127.0.0.1:1/", retry=None)
    except workerpool.ConnectError as exc:
        done.append(type(exc).__name__)
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def as_it_is():
    """What the work comes to with aiohttp as it is installed."""
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, timeout=80, check=False)
    assert ("", 0) == (done.stderr, done.returncode)
    return json.loads(done.stdout)


def release_without(name, folder):
    """Make a copy of aiohttp in which everything of that name has another one."""
    source = Path(aiohttp.__file__).parent
    compiled = shutil.ignore_patterns("__pycache__", "*.so", "*.pyx", "*.c", "*.h", ".hash")
    package = Path(shutil.copytree(source, folder / "aiohttp", ignore=compiled))
    for path in package.rglob("*.py"):
        path.write_text(re.sub(rf"\b{name}\b", f"{name}_moved", path.read_text()))
    for path in [*package.rglob(f"{name}.py")]:
        path.rename(path.with_name(f"{name}_moved.py"))


@pytest.mark.parametrize("name", NAMES)
def test_a_release_that_moves_a_name_is_lived_with(name, tmp_path, as_it_is):
    """All that the pool does is done, the plain way, and one line in the log names what is missing."""
    release_without(name, tmp_path)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", WORK],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    lines = done.stderr.splitlines()
    assert (0, as_it_is, 1) == (done.returncode, json.loads(done.stdout or "null"), len(lines)), done.stderr
    assert lines[0].startswith("workerpool.transport WARNING aiohttp ")
    assert NAMES[name] in lines[0]


def test_aiohttp_has_two_contexts_of_its_own():
    """Those for `ssl=True` and `ssl=False`, which the pool's connections are made by."""
    verified, unverified = aiohttp.connector._SSL_CONTEXT_VERIFIED, aiohttp.connector._SSL_CONTEXT_UNVERIFIED
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (unverified.verify_mode, unverified.check_hostname) == (ssl.CERT_NONE, False)
    source = inspect.getsource(aiohttp.TCPConnector._get_ssl_context)
    assert "return _SSL_CONTEXT_VERIFIED" in source
    assert "return _SSL_CONTEXT_UNVERIFIED" in source
