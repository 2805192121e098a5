"""TLS sessions are resumed within a lane, by new connections to the same host, and by nobody else."""

import os
import ssl
import subprocess
import sys
import threading

import pytest
from servers import Listening, read_request

trustme = pytest.importorskip("trustme")

# In a process of its own: the default certificates are loaded once, by aiohttp's import.
SCRIPT = """
import sys
from workerpool import WorkerPool
loop, mode, *urls = sys.argv[1:]
with WorkerPool(workers=1, event_loop=loop, ssl=mode != "unverified", retry=None) as pool:
    if mode == "sessions":
        for _ in range(2):
            with pool.session() as session:
                for url in urls:
                    session.get(url).raise_for_status()
    elif mode == "functions":
        async def ask(session, url):
            async with session.get(url) as answer:
                await answer.read()
        for url in urls:
            pool.submit(ask, url).result(60)
    elif mode == "streams":
        for url in urls:
            with pool.stream("GET", url) as answer:
                answer.read()
    else:
        for url in urls:
            pool.get(url).raise_for_status()
"""


class TlsServer(Listening):
    """Answer one request on each connection; `resumed` tells of each whether it went on with a session."""

    def __init__(self, context):
        self.resumed = []
        self._context = context
        self._lock = threading.Lock()
        super().__init__(self._serve)

    def _serve(self, connection):
        with self._context.wrap_socket(connection, server_side=True) as secure:
            with self._lock:
                self.resumed.append(secure.session_reused)
            if read_request(secure):
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                secure.unwrap()

    def url_at(self, host):
        return f"https://{host}:{self.port}/"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(path := tmp_path_factory.mktemp("ca") / "ca.pem")
    return authority, path


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


def context_of(authority, *names, **options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    for name, value in options.items():
        setattr(context, name, value)
    return context


def resumed(authority, loop, mode, server, *hosts):
    """Run the script against the server; return which of its connections were resumed."""
    command = [sys.executable, "-c", SCRIPT, loop, mode, *(server.url_at(host) for host in hosts)]
    environment = os.environ | {"SSL_CERT_FILE": str(authority[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return server.resumed


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mode", ["verbs", "functions", "streams", "unverified"])
def test_new_connections_go_on_with_the_session(authority, loop, mode, version):
    with TlsServer(context_of(authority[0], "localhost", maximum_version=version)) as server:
        assert resumed(authority, loop, mode, server, *["localhost"] * 4) == [False, True, True, True]


def test_a_session_belongs_to_one_host(authority, loop):
    with TlsServer(context_of(authority[0], "localhost", "127.0.0.1")) as server:
        found = resumed(authority, loop, "verbs", server, "localhost", "127.0.0.1", "localhost", "127.0.0.1")
    assert found == [False, False, True, True]


def test_private_sessions_share_none(authority, loop):
    """What one browser is known by, another one does not tell."""
    with TlsServer(context_of(authority[0], "localhost")) as server:
        found = resumed(authority, loop, "sessions", server, "localhost", "localhost")
    assert found == [False, True, False, True]


def test_a_server_that_knows_nothing_of_it_any_more_is_asked_anew(authority, loop):
    """It was restarted with other keys, or gives out no tickets."""
    with TlsServer(context_of(authority[0], "localhost", num_tickets=0)) as server:
        assert resumed(authority, loop, "verbs", server, *["localhost"] * 3) == [False] * 3


def test_a_certificate_for_another_name_is_refused_before_and_after(authority, loop):
    with TlsServer(context_of(authority[0], "localhost")) as server:
        command = [sys.executable, "-c", SCRIPT, loop, "verbs", server.url_at("localhost"), server.url_at("127.0.0.1")]
        environment = os.environ | {"SSL_CERT_FILE": str(authority[1])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert "TLSError" in done.stderr
