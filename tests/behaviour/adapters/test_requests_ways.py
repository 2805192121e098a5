"""Whose ways hold: those of requests and httpx where no lane was named, and the lane's where one was."""

import functools
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import requests
from urllib3.util import Retry as Urllib3Retry

from workerpool import Retry, WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.requests import FuturesSession, PoolAdapter, install, uninstall


@pytest.fixture
def eager():
    """A pool whose default lane tries again, has a deadline, and takes small bodies only."""
    settings = {"retry": Retry(3, wait_initial=0, wait_jitter=0), "timeout": 0.5, "max_body": 1000}
    with WorkerPool(workers=1, **settings) as pool:
        yield pool


def _session(*args, **options):
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", PoolAdapter(*args, **options))
    return session


def _attempts(pool):
    return sum(lane.attempts for lane in pool.stats().lanes)


def test_a_timeout_is_met_once(eager, workerpool_server):
    """A slow server is asked once, and the timeout is as long as it was given."""
    workerpool_server.reply("/slow", text="late", delay=30)
    with _session(eager) as session, pytest.raises(requests.exceptions.ReadTimeout):
        session.get(workerpool_server.url_for("/slow"), timeout=0.3)
    assert 1 == _attempts(eager)


def test_a_failure_is_handed_out(eager, workerpool_server):
    """A 503 is the answer, unless a lane is named whose retries count: "default" is one."""
    workerpool_server.reply("/busy", status=503, times=3)
    workerpool_server.reply("/busy", text="well")
    url = workerpool_server.url_for("/busy")
    with _session(eager) as session, _session(eager, "default") as named:
        assert 503 == session.get(url).status_code
        assert (200, "well") == (named.get(url).status_code, named.get(url).text)


def test_a_body_may_be_of_any_size_and_take_any_time(eager, site):
    """Neither the lane's largest body nor its deadline holds; a lane that was named has both."""
    with _session(eager) as session, _session(eager, "default") as named:
        assert 300 * 1024 == len(session.get(site.url_for("/large/300")).content)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            named.get(site.url_for("/large/300"))
        with pytest.raises(requests.exceptions.ReadTimeout):
            named.get(site.url_for("/hold/2"))
        threading.Timer(1.0, site.release).start()  # twice the deadline that does not hold
        assert session.get(site.url_for("/hold/1")).ok


def test_httpx_has_no_retries_unless_a_lane_is_named(eager, workerpool_server):
    """As many requests as httpx would send; a lane's own retries count when it was named."""
    workerpool_server.reply("/busy", status=503, times=3)
    workerpool_server.reply("/busy", text="well")
    url = workerpool_server.url_for("/busy")
    with httpx.Client(transport=PoolTransport(eager)) as client:
        assert 503 == client.get(url).status_code
    with httpx.Client(transport=PoolTransport(eager, "default")) as client:
        assert "well" == client.get(url).text


@pytest.mark.parametrize("given", [Urllib3Retry(3, status_forcelist=[500]), Urllib3Retry(total=3, status=3)])
def test_max_retries_are_urllib3s(pool, workerpool_server, given):
    """A Retry does here what it does on HTTPAdapter: what it lists is tried again, and what it did is in the raw."""
    workerpool_server.reply("/busy", status=500, times=2)
    workerpool_server.reply("/busy", text="well")
    with _session(pool, max_retries=given) as session:
        answer = session.get(workerpool_server.url_for("/busy"), stream=True)
        if given.status_forcelist:
            assert ("well", [500, 500]) == (answer.text, [each.status for each in answer.raw.retries.history])
        else:
            assert (500, ()) == (answer.status_code, answer.raw.retries.history)


def test_retries_that_are_used_up_raise(pool, workerpool_server, free_port):
    """RetryError for statuses, unless raise_on_status is off; ConnectionError for what cannot be reached."""
    workerpool_server.reply("/busy", status=500, times=9)
    url = workerpool_server.url_for("/busy")
    with _session(pool) as session:
        adapter = session.get_adapter("http://")
        adapter.max_retries = Urllib3Retry(2, status_forcelist=[500])
        with pytest.raises(requests.exceptions.RetryError, match="too many 500"):
            session.get(url)
        adapter.max_retries = Urllib3Retry(2, status_forcelist=[500], raise_on_status=False)
        assert 500 == session.get(url).status_code
        adapter.max_retries = 2
        with pytest.raises(requests.exceptions.ConnectionError) as caught:
            session.get(f"http://127.0.0.1:{free_port}/")
        assert "NewConnectionError" == type(caught.value.args[0].reason).__name__
    assert 3 + 3 + 3 == _attempts(pool)


def test_a_body_that_can_be_sent_once_is_sent_once(pool, workerpool_server):
    """A file goes back to its beginning for the next try; a generator cannot, and the answer is handed out."""
    workerpool_server.reply("/busy", status=500, times=3)
    workerpool_server.reply("/busy", text="well")
    url = workerpool_server.url_for("/busy")
    retries = Urllib3Retry(5, status_forcelist=[500], allowed_methods=None)
    with _session(pool, max_retries=retries) as session:
        assert 500 == session.post(url, data=iter([b"once"])).status_code
        with open(__file__, "rb") as file:
            assert "well" == session.post(url, data=file).text
            size = file.tell()
    assert [4, size, size, size] == [len(each.body) for each in workerpool_server.requests]


def test_a_retry_of_somebody_elses_making_is_asked(pool, free_port):
    """A subclass of Retry sees each failure, with urllib3's error."""
    seen = []

    class Noting(Urllib3Retry):
        def increment(self, *args, **options):
            seen.append(type(options["error"]).__name__)
            return super().increment(*args, **options)

    with _session(pool, max_retries=Noting(1)) as session, pytest.raises(requests.exceptions.ConnectionError):
        session.get(f"http://127.0.0.1:{free_port}/")
    assert ["NewConnectionError"] * 2 == seen


def test_retries_do_not_outlive_their_pool():
    """A closed pool is no server that may come back: it is told at once."""
    with WorkerPool(workers=1) as pool:
        session = _session(pool, max_retries=Urllib3Retry(5, backoff_factor=100))
    with session, pytest.raises(requests.exceptions.ConnectionError, match="shut down"):
        session.get("http://127.0.0.1/")


def test_futures_have_max_retries(pool, workerpool_server):
    """adapter_kwargs reach the adapters of a FuturesSession, and the first try is the pool's."""
    workerpool_server.reply("/busy", status=500, times=2)
    workerpool_server.reply("/busy", text="well")
    options = {"max_retries": Urllib3Retry(3, status_forcelist=[500])}
    with FuturesSession(pool=pool, adapter_kwargs=options) as session:
        assert "well" == session.get(workerpool_server.url_for("/busy")).result(30).text


def test_sizes_are_those_of_the_lane(site, workerpool_server):
    """pool_maxsize raises the connections; with pool_block it is how many a host gets, and the others wait."""
    with WorkerPool(workers=1, connections=12) as pool:
        with _session(pool, pool_maxsize=20) as session, _together(session, site, 20):
            site.wait_in_flight(20)
        blocking = _session(pool, pool_maxsize=2, pool_block=True)
        with blocking, _together(blocking, workerpool_server, 6):
            workerpool_server.wait_in_flight(2)
    assert (20, 2) == (site.max_in_flight, workerpool_server.max_in_flight)


@contextmanager
def _together(session, site, number):
    """Ask for so many answers at once, which are held until the end of the block."""
    with ThreadPoolExecutor(number) as threads:
        answers = [threads.submit(session.get, site.url_for(f"/hold/{n}")) for n in range(number)]
        yield
        site.release()
        assert {200} == {answer.result(30).status_code for answer in answers}


@pytest.mark.parametrize("kind", [PoolAdapter, PoolTransport, AsyncPoolTransport])
def test_what_is_no_pool_is_refused_at_once(kind, pool):
    """A number, a view of a lane, a lane that is no name: TypeError where it is made, not at the first request."""
    with pytest.raises(TypeError, match="takes a WorkerPool, or the name of one"):
        kind(5)
    with pytest.raises(TypeError, match=r"\(pool, 'default'\)"):
        kind(pool.lane("default"))
    with pytest.raises(TypeError, match="lane is the name"):
        kind(pool, 5)


def test_install_takes_a_name_a_pool_or_an_adapter(pool, shared_site):
    """Whichever it is, each session has adapters of its own: what is set on one is set there only."""
    cases = [((PoolAdapter(pool),), {}), ((pool,), {}), ((), {"pool": pool, "lane": "default"}), (("default",), {})]
    try:
        for args, options in cases:
            install(*args, **options)
            one, other = requests.Session(), requests.Session()
            one.get_adapter("http://").build_response = None
            assert "build_response" not in vars(other.get_adapter("http://"))
            assert other.get_adapter("http://") is not other.get_adapter("https://")
        with pytest.raises(TypeError, match="not both"):
            install(PoolAdapter(pool), pool=pool)
        with pytest.raises(TypeError, match="its lane already"):
            install(PoolAdapter(pool), "default")
        assert pickle.loads(pickle.dumps(requests.Session())).get_adapter("http://")._pool == "default"
    finally:
        uninstall()


def test_an_instances_own_build_response_counts(pool, site):
    """A patch of one adapter is honoured for whole answers, too."""
    with _session(pool) as session:
        adapter = session.get_adapter("http://")
        build = adapter.build_response

        def marked(request, raw):
            answer = build(request, raw)
            answer.mine = raw.status
            return answer

        adapter.build_response = marked
        assert 200 == session.get(site.url_for("/fast/1")).mine


def test_a_lane_that_is_not_there_is_named(pool):
    """A misspelt lane is told with the names that there are."""
    with _session(pool, "typo") as session, pytest.raises(requests.exceptions.RequestException, match="typo"):
        session.get("http://127.0.0.1/")


def test_a_port_that_cannot_be(pool):
    """A port over 65535 is the library's own error, and no bare ValueError."""
    with _session(pool) as session, pytest.raises(requests.exceptions.InvalidURL):
        session.get("http://127.0.0.1:99999/")
    with httpx.Client(transport=PoolTransport(pool)) as client, pytest.raises(httpx.TransportError):
        client.get("http://127.0.0.1:99999/")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"])
def test_an_empty_body_is_said_to_be_one(pool, site, method):
    """Content-Length: 0 goes out where requests sends it, and only once."""
    with _session(pool) as session, requests.Session() as plain:
        plain.trust_env = False
        sent = [each.request(method, site.url_for("/echo")).json()["headers"] for each in (session, plain)]
        assert sent[0] == sent[1]


def test_bytes_of_a_header_are_not_encoded_again(pool, site):
    """What was given as UTF-8 arrives as UTF-8, with requests and with httpx."""
    given = "é☃".encode()
    with _session(pool) as session, httpx.Client(transport=PoolTransport(pool)) as client:
        assert "é☃" == session.get(site.url_for("/echo"), headers={"X-A": given}).json()["headers"]["X-A"]
        assert "é☃" == client.get(site.url_for("/echo"), headers={"X-A": given}).json()["headers"]["X-A"]


def test_what_is_wrong_with_files_and_proxies_is_requests_error(pool, tmp_path):
    """A file that holds no certificate, a proxy that cannot be: the exceptions that HTTPAdapter would raise."""
    (tmp_path / "no.pem").write_text("nothing")
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", PoolAdapter(pool))
    session.mount("http://", PoolAdapter(pool))
    with session:
        with pytest.raises(requests.exceptions.SSLError):
            session.get("https://127.0.0.1/", verify=str(tmp_path / "no.pem"))
        with pytest.raises(requests.exceptions.InvalidURL):
            session.get("http://127.0.0.1/", proxies={"http": "http://127.0.0.1:99999"})


def test_uninstall_leaves_what_others_have_put_in_place(pool, monkeypatch):
    """A tracer that has wrapped Session.__init__ since then stays, and install() works again."""
    before = requests.Session.__init__
    seen = []
    install(pool)
    try:
        below = requests.Session.__init__

        @functools.wraps(below)
        def traced(self):
            seen.append(self)
            below(self)

        monkeypatch.setattr(requests.Session, "__init__", traced)
        uninstall()
        assert not isinstance(requests.Session().get_adapter("http://"), PoolAdapter)
        install(pool)
        assert isinstance(requests.Session().get_adapter("http://"), PoolAdapter)
        assert 2 == len(seen)
    finally:
        uninstall()
        monkeypatch.undo()
        uninstall()
    assert not isinstance(requests.Session().get_adapter("http://"), PoolAdapter)
    requests.Session.__init__ = before


def test_a_number_is_no_body(pool, site):
    """A TypeError, as http.client raises it."""
    with _session(pool) as session, pytest.raises(TypeError, match="Instead was 5"):
        session.post(site.url_for("/echo"), data=5)
