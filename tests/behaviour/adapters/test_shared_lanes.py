"""The lanes that requests' certificates and proxies need: the pool's, shared by all adapters, counted and bounded."""

import gc
import ssl
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer

import pytest
import requests
import trustme
from proxies import Proxy
from servers import Handler, running

from workerpool import Lane, WorkerPool
from workerpool.adapters.requests import FuturesSession, PoolAdapter, install, lanes, uninstall


class Server(ThreadingHTTPServer):
    """An https server that counts its connections; /hold and /drip wait for `go`."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, authority):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(self.context)
        self.url = f"https://localhost:{self.server_port}"
        self.connections = 0
        self.held = threading.Semaphore(0)
        self.go = threading.Event()

    def finish_request(self, request, client_address):
        with self.context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request, client_address):
        pass  # clients that go away


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_GET(self):
        if self.path == "/hold":
            self.server.held.release()
            self.server.go.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "10000")
        self.end_headers()
        self.wfile.write(b"x" * 5000)
        if self.path == "/drip":
            self.server.held.release()
            self.server.go.wait(60)
        self.wfile.write(b"x" * 5000)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path_factory.mktemp("tls") / "ca.pem")
    authority.path = str(next(tmp_path_factory.getbasetemp().glob("tls*/ca.pem")))
    return authority


@pytest.fixture
def server(authority):
    with running(Server(authority)) as server:
        yield server
        server.go.set()


def _session(adapter, authority=None):
    """Return a session with that adapter that looks at nothing in the environment."""
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", adapter)
    session.verify = authority.path if authority else True
    return session


@pytest.fixture
def installed(pool, authority, monkeypatch):
    """Every session is over the pool, and trusts the server."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.path)
    install(pool)
    yield pool
    uninstall()


def _open_lanes(pool):
    return [lane for lane in pool.stats().lanes if lane.name.startswith("default-")]


def test_forty_threads_of_requests_get_disturb_each_other_not(installed, server):
    """A requests.get that ends closes its session, and takes nothing from the 39 others under way."""

    def fetch(n):
        return len(requests.get(f"{server.url}/{n}").content)

    with ThreadPoolExecutor(40) as threads:
        assert [10000] * 200 == list(threads.map(fetch, range(200)))


def test_a_slow_request_outlives_a_quick_one(installed, server):
    """Thread A waits for its answer while thread B's session comes and goes."""
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(requests.get, f"{server.url}/hold")
        server.held.acquire()
        assert requests.get(server.url).ok
        server.go.set()
        assert 10000 == len(slow.result(30).content)


def test_a_download_is_not_cut_by_another_session(installed, server):
    """A stream that is read while other sessions are closed is whole."""
    with requests.get(f"{server.url}/drip", stream=True) as answer:
        server.held.acquire()
        assert requests.get(server.url).ok
        server.go.set()
        assert 10000 == len(answer.content)


def test_two_sessions_share_an_adapter(pool, server, authority):
    """One of them closed takes nothing from the other."""
    adapter = PoolAdapter(pool)
    one, other = _session(adapter, authority), _session(adapter, authority)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(one.get, f"{server.url}/hold")
        server.held.acquire()
        other.close()
        adapter.close()
        server.go.set()
        assert slow.result(30).ok
    assert one.get(server.url).ok


def test_sessions_share_connections_and_certificates(installed, server, monkeypatch, authority, tmp_path):
    """Twenty calls of requests.get, one after another, need one connection and read the certificates once."""
    made = []
    make = lanes.create_urllib3_context
    monkeypatch.setattr(lanes, "create_urllib3_context", lambda **given: made.append(make(**given)) or made[-1])
    authority.cert_pem.write_to_path(tmp_path / "new.pem")
    for _ in range(20):
        requests.get(server.url, verify=str(tmp_path / "new.pem"))
    assert (1, 1, 1) == (server.connections, len(made), len(_open_lanes(installed)))


def test_new_certificates_are_read(installed, server, tmp_path, authority):
    """A bundle that is written anew counts from the next request on, though its name is the same."""
    bundle = tmp_path / "bundle.pem"
    trustme.CA().cert_pem.write_to_path(bundle)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(server.url, verify=str(bundle))
    authority.cert_pem.write_to_path(bundle)
    assert requests.get(server.url, verify=str(bundle)).ok


def test_a_hundred_proxies_leave_few_lanes(pool, server, authority):
    """Lanes of proxies that are not used any more are given up; one with work under way is not."""
    with Proxy() as proxy, _session(PoolAdapter(pool), authority) as session, ThreadPoolExecutor(1) as threads:

        def through(n, path=""):
            return session.get(server.url + path, proxies={"https": f"http://user{n}@127.0.0.1:{proxy.port}"})

        slow = threads.submit(through, "-slow", "/hold")
        server.held.acquire()
        drip = session.get(f"{server.url}/drip", stream=True)
        server.held.acquire()
        for n in range(100):
            assert through(n).ok
        server.go.set()
        assert slow.result(30).ok
        assert 10000 == len(drip.content)
        assert pool.drain(30)
    assert len(_open_lanes(pool)) <= lanes._IDLE + 3
    assert 102 == pool.stats().submitted


def test_a_lane_unused_for_long_is_given_up(installed, server, monkeypatch, authority):
    """After the time that lanes are kept, the next request clears them away."""
    assert requests.get(server.url).ok
    assert 1 == len(_open_lanes(installed))
    monkeypatch.setattr(lanes, "_AGE", 0.0)
    with WorkerPool(workers=1) as other, _session(PoolAdapter(other), authority) as session:
        assert session.get(server.url).ok
    assert installed.drain(30)  # lanes are closed by a worker, on its way
    assert [] == _open_lanes(installed)


def test_sessions_that_come_and_go(installed, server, authority):
    """Sixteen threads open and close sessions with certificates, proxies and streams of their own: all are answered."""

    def work(n):
        for i in range(10):
            with requests.Session() as session:
                proxies = {"https": f"http://u{(n + i) % 7}@127.0.0.1:{proxy.port}"} if i % 3 else {}
                answer = session.get(f"{server.url}/{n}", stream=bool(i % 2), proxies=proxies)
                assert 10000 == len(answer.content)
        return n

    with Proxy() as proxy, ThreadPoolExecutor(16) as threads:
        assert list(range(16)) == list(threads.map(work, range(16)))


def test_the_lanes_keep_no_pool_alive(server, authority):
    """A pool that nobody holds any more is collected, though adapters had lanes of it."""
    pool = WorkerPool(workers=1, name="dropped")
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("dropped")]
    with _session(PoolAdapter(pool), authority) as session:
        assert session.get(server.url).ok
    gone = weakref.ref(pool)
    del pool, session
    gc.collect()
    assert gone() is None
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_futures_share_the_lanes(pool, server, authority):
    """Requests begun and not yet answered keep their lane; closing the session waits for them."""
    with FuturesSession(pool=pool) as session:
        session.trust_env = False
        session.verify = authority.path
        futures = [session.get(server.url) for _ in range(20)]
        assert {200} == {future.result(30).status_code for future in futures}
    assert 1 == len(_open_lanes(pool))


def test_a_lane_of_its_own_keeps_its_context(server, authority):
    """A lane with an SSLContext is used as it is: nothing is derived for verify=True."""
    context = ssl.create_default_context(cafile=authority.path)
    with WorkerPool(lanes=[Lane("own", ssl=context)]) as pool, _session(PoolAdapter(pool, "own")) as session:
        assert session.get(server.url).ok
        assert {"default", "own"} == {lane.name for lane in pool.stats().lanes}


def test_an_adapters_context_counts(pool, server, authority):
    """A subclass that gives init_poolmanager its ssl_context has it, as on HTTPAdapter; other keywords are refused."""

    class Adapter(PoolAdapter):
        def init_poolmanager(self, *args, **options):
            super().init_poolmanager(*args, ssl_context=ssl.create_default_context(cafile=authority.path), **options)

    with _session(Adapter(pool)) as session:
        assert session.get(server.url).ok
    with pytest.raises(TypeError, match="socket_options"):
        PoolAdapter(pool).init_poolmanager(1, 1, socket_options=[])


def test_lanes_are_closed_under_nobody(installed, server, monkeypatch):
    """Even if no lane is kept a moment longer than it is used: whole answers, streams and futures are all complete."""
    monkeypatch.setattr(lanes, "_IDLE", 0)
    monkeypatch.setattr(lanes, "_AGE", 0.0)

    def work(n):
        for i in range(10):
            proxies = {"https": f"http://u{(n * i) % 5}@127.0.0.1:{proxy.port}"} if i % 2 else {}
            with requests.Session() as session:
                answer = session.get(server.url, stream=True, proxies=proxies)
            assert 10000 == len(answer.content)
            assert 10000 == len(requests.get(server.url, proxies=proxies).content)
            with FuturesSession(pool=installed) as futures:
                assert futures.get(server.url, proxies=proxies).result(30).ok

    with Proxy() as proxy, ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
