"""requests over the pool: what its users rely on, with real servers; its own test suite is run beside this."""

import gzip
import io
import json
import os
import pickle
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import trustme
from servers import Handler, handled
from urllib3.exceptions import InsecureRequestWarning

from workerpool import Lane, PoolClosed, WorkerPool, get_pool
from workerpool.adapters.requests import PoolAdapter, install, uninstall


@pytest.fixture
def session(pool):
    """A session over a pool of its own."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PoolAdapter(pool))
        session.mount("https://", PoolAdapter(pool))
        yield session


def test_the_usual_things_work(session, site):
    """Verbs, parameters, forms, JSON, redirects, cookies and compressed bodies are as requests has them."""
    answer = session.get(site.url_for("/echo"), params={"a": 1, "b": "x y"}, headers={"X-One": "é".encode("latin-1")})
    assert (200, "OK", {"a": "1", "b": "x y"}) == (answer.status_code, answer.reason, answer.json()["args"])
    assert "a=1&b=2" == session.post(site.url_for("/echo"), data={"a": 1, "b": 2}).json()["body"]
    assert {"n": 1} == json.loads(session.put(site.url_for("/echo"), json={"n": 1}).json()["body"])
    answer = session.get(site.url_for("/redirect/3"))
    assert (4, site.url_for("/fast/0")) == (len(answer.history), answer.url)
    assert 302 == session.get(site.url_for("/redirect/3"), allow_redirects=False).status_code
    session.get(site.url_for("/cookies/set?name=value"))
    assert {"name": "value"} == session.cookies.get_dict() == session.get(site.url_for("/cookies")).json()
    assert {"n": 7} == session.get(site.url_for("/gzip/7")).json()
    assert session.get(site.url_for("/status/404")).ok is False
    assert 0 < answer.elapsed.total_seconds() < 30


def test_nothing_is_added_to_what_requests_sends(session, site):
    """The headers on the wire are those of the prepared request, and no other."""
    prepared = session.prepare_request(requests.Request("POST", site.url_for("/echo"), data=b"abc"))
    sent = {name.lower(): value for name, value in session.send(prepared).json()["headers"].items()}
    assert {name.lower(): value for name, value in prepared.headers.items()} | {"host": sent["host"]} == sent


@pytest.mark.parametrize("path", ["/echo?sig=a%2Fb%7Ec%20d+e&x=%C3%A4", "/echo?q=[1]&empty="])
def test_a_url_goes_out_as_it_was_prepared(session, site, path):
    """Not a character of a URL is quoted anew: signatures are made of it."""
    prepared = session.prepare_request(requests.Request("GET", site.url_for(path)))
    with WorkerPool(workers=1) as pool:
        session.mount("http://", PoolAdapter(pool))
        assert session.send(prepared).url == prepared.url


def test_streams_are_read_as_they_come(session, site):
    """stream=True gives the head at once and the body in pieces; raw is a file of the bytes on the wire."""
    with session.get(site.url_for("/large/300"), stream=True) as answer:
        assert 300 * 1024 == sum(len(piece) for piece in answer.iter_content(4096))
    with session.get(site.url_for("/fast/1"), stream=True) as answer:
        assert b"fast page 1" == answer.raw.read(11)
        assert 1013 == len(answer.raw.read())
        assert b"" == answer.raw.read()
    with session.get(site.url_for("/gzip/5"), stream=True) as answer:
        assert {"n": 5} == json.loads(gzip.decompress(answer.raw.read()))
    with session.get(site.url_for("/gzip/5"), stream=True) as answer:
        assert [b'{"n": 5}'] == list(answer.iter_lines())


def test_a_stream_that_is_left_ends_its_download(session, site, pool):
    """Closing the response closes the connection; the pool holds nothing then."""
    answer = session.get(site.url_for("/large/100000"), stream=True)
    next(answer.iter_content(1024))
    answer.close()
    assert pool.drain(10)


@pytest.mark.parametrize("kind", ["bytes", "str", "file", "generator", "read-only"])
def test_bodies_of_every_kind_arrive(session, site, kind):
    """Bytes, text, files, generators, and things that have nothing but read()."""

    class OnlyRead:
        def __init__(self):
            self._file = io.BytesIO(b"12345")
            self.read = self._file.read

    body = {
        "bytes": b"12345",
        "str": "12345",
        "file": io.BytesIO(b"12345"),
        "generator": (piece for piece in (b"12", b"345")),
        "read-only": OnlyRead(),
    }[kind]
    assert "12345" == session.post(site.url_for("/echo"), data=body).json()["body"]


def test_files_are_sent_as_a_form(session, site):
    """files= is encoded by requests and arrives."""
    body = session.post(site.url_for("/echo"), files={"f": ("a.txt", b"content")}).json()["body"]
    assert 'name="f"; filename="a.txt"' in body
    assert "content" in body


def test_a_source_that_raises_half_way_raises_that(session, site):
    """What the caller's generator raises comes out as it is, and the next request works."""

    def source():
        yield b"1"
        raise LookupError("the source broke")

    with pytest.raises(LookupError, match="the source broke"):
        session.post(site.url_for("/echo"), data=source())
    assert session.get(site.url_for("/fast/1")).ok


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (requests.exceptions.ReadTimeout, {"timeout": 0.05}),
        (requests.exceptions.ReadTimeout, {"timeout": (5, 0.05)}),
        (requests.exceptions.ReadTimeout, {"timeout": (5, 0.05), "stream": True}),
    ],
)
def test_a_silent_server_is_a_read_timeout(session, site, error, options):
    """timeout= is the longest silence, as requests has it; urllib3's own error is inside."""
    with pytest.raises(error) as caught:
        session.get(site.url_for("/hold/1"), **options)
    assert "Read timed out" in str(caught.value.args[0].args[0])
    assert caught.value.request is not None


def test_the_lanes_deadline_holds_as_well(site):
    """A server that drips bytes for ever ends with the lane's total, which requests alone has no means for."""
    with WorkerPool(lanes=[Lane("quick", timeout=0.3)]) as pool, requests.Session() as session:
        session.mount("http://", PoolAdapter(pool, "quick"))
        with pytest.raises(requests.exceptions.ReadTimeout):
            session.get(site.url_for("/hold/1"))
        site.release()


def test_errors_are_those_of_requests(session, free_port, site):
    """Refused, unresolvable, unreadable: each has its exception, with urllib3's and the pool's own inside."""
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        session.get(f"http://127.0.0.1:{free_port}/")
    assert "NewConnectionError" in type(caught.value.args[0].reason).__name__
    assert "ConnectError" == type(caught.value.__cause__).__name__
    with pytest.raises(requests.exceptions.ProxyError):
        session.get(site.url_for("/fast/1"), proxies={"http": f"http://127.0.0.1:{free_port}"})
    with pytest.raises(requests.exceptions.InvalidProxyURL):
        session.get(site.url_for("/fast/1"), proxies={"http": "http:///nowhere"})
    with pytest.raises(ValueError, match="connect, read"):
        session.get(site.url_for("/fast/1"), timeout=(1, 2, 3))
    with pytest.raises(OSError, match="invalid path"):
        session.get("https://127.0.0.1/", verify="/does/not/exist")


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    """The URL of an HTTPS server that asks for a certificate, and the files of an authority and of a client."""
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL

    class Greeter(Handler):
        def do_GET(self):
            self.answer(200, b"known" if self.connection.getpeercert() else b"unknown")

    with handled(Greeter, tls=context) as url:
        yield url, str(folder / "ca.pem"), str(folder / "client.pem")


def test_certificates_are_as_requests_has_them(session, https):
    """Unknown authorities are refused, a bundle is trusted, verify=False warns, and a client's certificate is shown."""
    url, authority, own = https
    with pytest.raises(requests.exceptions.SSLError):
        session.get(url)
    assert "unknown" == session.get(url, verify=authority).text
    assert "known" == session.get(url, verify=authority, cert=own).text
    with pytest.warns(InsecureRequestWarning):
        assert "unknown" == session.get(url, verify=False).text
    with pytest.raises(requests.exceptions.SSLError):
        session.get(url.replace("localhost", "127.0.0.1"), verify=authority)


def test_a_closed_pool_is_a_connection_error(site):
    """A session that outlives its pool says so; nothing hangs."""
    with requests.Session() as session:
        with WorkerPool(workers=1) as pool:
            session.mount("http://", PoolAdapter(pool))
            assert session.get(site.url_for("/fast/1")).ok
        with pytest.raises(requests.exceptions.ConnectionError, match="shut down") as caught:
            session.get(site.url_for("/fast/1"))
    assert isinstance(caught.value.__cause__, PoolClosed)


def test_fifty_threads_share_one_session(session, site):
    """Every answer is the one that was asked for."""

    def fetch(n):
        return [session.get(site.url_for(f"/fast/{n * 20 + i}")).text.split()[2] for i in range(20)]

    with ThreadPoolExecutor(50) as threads:
        seen = sum(threads.map(fetch, range(50)), [])  # noqa: RUF017
    assert [str(n) for n in range(1000)] == seen


def test_an_adapter_by_name_survives_pickling(shared_site):
    """The pool is found by its name on the other side; a pool object cannot travel, and that is said."""
    session = requests.Session()
    session.mount("http://", PoolAdapter("pickled"))
    again = pickle.loads(pickle.dumps(session))
    assert again.get(shared_site.url_for("/fast/1")).ok
    get_pool("pickled").shutdown()
    with WorkerPool(workers=1) as pool, pytest.raises(TypeError, match="name of a pool"):
        pickle.dumps(PoolAdapter(pool))


def test_install_reaches_every_session_and_uninstall_ends_it(shared_site):
    """Code that cannot be touched goes through the pool, requests.get included, until uninstall()."""
    install(PoolAdapter("installed"))
    try:
        assert requests.get(shared_site.url_for("/fast/1")).ok
        assert isinstance(requests.Session().get_adapter("https://x"), PoolAdapter)
        assert 1 == get_pool("installed").stats().submitted
    finally:
        uninstall()
        uninstall()
    assert not isinstance(requests.Session().get_adapter("https://x"), PoolAdapter)
    get_pool("installed").shutdown()


def test_a_fork_after_mount(shared_site):
    """With a pool of the registry the child has its own; with a pool object it is told what to do."""
    code = """
import os, sys, requests, warnings; from workerpool import WorkerPool; from workerpool.adapters.requests import PoolAdapter
warnings.simplefilter("ignore")
url, session, own = sys.argv[1], requests.Session(), requests.Session()
pool = WorkerPool()
session.mount("http://", PoolAdapter()); own.mount("http://", PoolAdapter(pool))
assert session.get(url).ok and own.get(url).ok
pid = os.fork()
if pid == 0:
    assert session.get(url).ok
    try:
        own.get(url)
    except requests.exceptions.ConnectionError as exc:
        os._exit(0 if "before a fork" in str(exc) else 3)
    os._exit(4)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, shared_site.url_for("/fast/1")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("0\n", "") == (done.stdout, done.stderr)


def test_a_missing_extra_names_the_cure(tmp_path):
    """Without requests, the import says what to install."""
    (tmp_path / "requests.py").write_text("raise ModuleNotFoundError('blocked', name='requests')")
    done = subprocess.run(
        [sys.executable, "-c", "import workerpool.adapters.requests"], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"},
    )  # fmt: skip
    assert "pip install 'aiohttp-workerpool[requests]'" in done.stderr


def test_closing_a_session_leaves_the_pool(site, pool):
    """The adapter closes lanes of its own only; what others do with the pool goes on."""
    session = requests.Session()
    session.mount("http://", PoolAdapter(pool))
    held = threading.Thread(target=lambda: pool.get(site.url_for("/hold/1")))
    held.start()
    site.wait_in_flight(1)
    session.close()
    site.release()
    held.join(30)
    assert pool.get(site.url_for("/fast/1")).ok
