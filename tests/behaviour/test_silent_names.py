"""A name server that is silent: it holds its own requests until their deadline, and nothing else."""

import os
import socket
import subprocess
import sys
import threading

import pytest
from proxies import SocksProxy

from workerpool import ConnectError, DeadlineExceeded, ProxyError, WorkerPool
from workerpool.transport import resolver

PATIENCE = 120
LOOPS = ["asyncio", "uvloop"]
system = socket.getaddrinfo

SILENT = """
import socket, sys, threading
from workerpool import DeadlineExceeded, WorkerPool
system = socket.getaddrinfo
def silent(host, *args, **options):
    if "silent" in str(host):
        threading.Event().wait()
    return system(host, *args, **options)
socket.getaddrinfo = silent
def ask(pool, url="http://silent.test/"):
    try:
        pool.get(url, timeout=0.2)
    except DeadlineExceeded as exc:
        print(exc.stage, flush=True)
"""


def ended(code, *arguments):
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", SILENT + code, *arguments],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return child.returncode, child.stdout.split(), child.stderr


class Names:
    """Stands in for the system's look-up: names with "silent" in them are not answered until they are released."""

    def __init__(self):
        self.asked = []
        self.released = threading.Event()
        self.hangs = threading.Event()
        self.hanging = 0
        self._lock = threading.Lock()

    def __call__(self, host, *args, **options):
        self.asked.append(host)
        if "silent" in host:
            with self._lock:
                self.hanging += 1
            self.hangs.set()
            try:
                self.released.wait()
            finally:
                with self._lock:
                    self.hanging -= 1
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return system("127.0.0.1" if host.endswith(".test") else host, *args, **options)


@pytest.fixture
def names(monkeypatch):
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.released.set()
    for thread in threading.enumerate():
        if thread.name.startswith("workerpool-dns"):
            thread.join(30)


def dns_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("workerpool-dns")]


@pytest.mark.parametrize("event_loop", LOOPS)
@pytest.mark.parametrize(
    "end",
    [
        "pool.shutdown()",
        "pool.shutdown(timeout=1)",
        "",
        "del pool",
        "session = pool.session(); ask(session); session.close()",
    ],
)
def test_it_does_not_hold_the_exit(event_loop, end):
    """A process whose look-up hangs for ever ends, with and without a shutdown, and prints nothing."""
    code, out, err = ended(f"pool = WorkerPool(event_loop={event_loop!r})\nask(pool)\n{end}\nprint('over', flush=True)")
    assert (0, "over", "") == (code, out[-1], err)
    assert {"dns"} == set(out[:-1])


@pytest.mark.parametrize("event_loop", LOOPS)
def test_it_holds_neither_shutdown_nor_other_names(names, site, event_loop):
    """Requests to other hosts go on meanwhile, a cancel is heard, and a shutdown does not wait."""
    url = site.url.replace("127.0.0.1", "other.test")
    with WorkerPool(event_loop=event_loop, workers=1) as pool:
        silent = [pool.submit(f"http://silent{n}.test/", timeout=60) for n in range(20)]
        while names.hanging < 20:
            assert pool.get(f"{url}/fast/1").ok
        silent[0].cancel()
        assert silent[0].cancelled()
        assert pool.get(f"{url}/fast/2").ok
        pool.shutdown(timeout=0.01)
        assert all(job.done() for job in silent)
    assert 20 == names.hanging


def test_threads_are_bounded_and_end_by_themselves(names):
    """However many names are asked for; those whose requests were given up are never looked up."""
    with WorkerPool() as pool:
        jobs = [pool.submit(f"http://silent{n}.test/", timeout=60) for n in range(100)]
        while names.hanging < resolver._AT_ONCE:
            assert len(dns_threads()) <= resolver._AT_ONCE
        pool.shutdown(timeout=0.01)
        assert all(job.done() for job in jobs)
    assert resolver._AT_ONCE == len(names.asked) == len(dns_threads())
    threads = dns_threads()
    names.released.set()
    for thread in threads:
        thread.join(30)
    assert [] == dns_threads()
    assert resolver._AT_ONCE == len(names.asked)


@pytest.mark.parametrize("event_loop", LOOPS)
def test_no_thread_is_left_when_the_pool_is_closed(names, shared_site, event_loop):
    """Nor does an answer need the pool: its thread ends as soon as it is delivered."""
    for _ in range(20):
        with WorkerPool(event_loop=event_loop) as pool:
            assert pool.get(shared_site.url_for("/fast/1").replace("127.0.0.1", "other.test")).ok
        assert [] == dns_threads()


@pytest.mark.parametrize("event_loop", LOOPS)
def test_a_late_answer_is_dropped(names, event_loop, caplog):
    """Of a request that was over before, and of a loop that was."""
    with WorkerPool(event_loop=event_loop) as pool:
        with pytest.raises(DeadlineExceeded):
            pool.get("http://silent.test/", timeout=0.05)
        with WorkerPool(event_loop=event_loop) as other, pytest.raises(DeadlineExceeded):
            other.get("http://silent2.test/", timeout=0.05)
        names.released.set()
        with pytest.raises(ConnectError):
            pool.get("http://silent3.test/", retry=None)
    assert "" == caplog.text


@pytest.mark.parametrize("event_loop", LOOPS)
def test_an_address_is_not_looked_up_and_a_name_only_once(names, site, event_loop):
    """No thread is needed for an address; a name is remembered for a while, whatever becomes of the connection."""
    with WorkerPool(event_loop=event_loop, headers={"Connection": "close"}) as pool:
        assert pool.get(site.url_for("/fast/1")).ok
        assert [] == names.asked
        for n in range(5):
            assert pool.get(site.url_for(f"/fast/{n}").replace("127.0.0.1", "other.test")).ok
    assert ["other.test"] == names.asked


@pytest.mark.parametrize("event_loop", LOOPS)
def test_the_names_of_socks_proxies_are_looked_up_there_too(names, site, event_loop):
    """The proxy's own, and with socks5:// the server's."""
    pytest.importorskip("aiohttp_socks")
    url = site.url_for("/fast/1").replace("127.0.0.1", "other.test")
    with SocksProxy() as proxy:
        by_name = f"socks5://proxy.test:{proxy.port}"
        with WorkerPool(proxy=by_name, event_loop=event_loop) as pool:
            assert pool.get(url).ok
            job = pool.submit("http://silent.test/", timeout=PATIENCE)
            assert names.hangs.wait(PATIENCE)
            assert job.cancel()
    assert {"proxy.test", "other.test", "silent.test"} == {*names.asked} - {"127.0.0.1"}  # the proxy asks for that
    with WorkerPool(proxy="socks5h://silent.test:1", event_loop=event_loop) as pool:
        with pytest.raises(DeadlineExceeded):
            pool.get(url, timeout=0.2)
        names.released.set()
        with pytest.raises(ProxyError):
            pool.get(url, timeout=60, retry=None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("event_loop", LOOPS)
def test_a_forked_child_has_threads_of_its_own(event_loop):
    """Amid look-ups that hang in the parent, all that it may have."""
    code, out, err = ended(
        f"""
import os, time, warnings
warnings.filterwarnings('ignore', '.*fork', DeprecationWarning)
from workerpool.testing import Site
with Site() as site, WorkerPool(event_loop={event_loop!r}) as pool:
    for n in range(70):
        pool.submit(f"http://silent{{n}}.test/", timeout=60)
    while sum(t.name.startswith("workerpool-dns") for t in threading.enumerate()) < 64:
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        with WorkerPool(event_loop={event_loop!r}) as mine:
            print(mine.get(site.url_for("/fast/1").replace("127.0.0.1", "localhost")).status_code, flush=True)
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    pool.shutdown(timeout=0.1)
"""
    )
    assert (0, ["200", "0"], "") == (code, out, err)


def test_what_the_system_raises_is_raised(monkeypatch, free_port):
    """Whatever that is, it is an error of the request."""
    for error in (socket.gaierror(socket.EAI_AGAIN, "again"), OSError(5, "io"), KeyboardInterrupt()):

        def fail(*_args, error=error, **_options):
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with WorkerPool(retry=None) as pool, pytest.raises(ConnectError) as caught:
            pool.get(f"http://name.test:{free_port}/")
        assert "dns" == caught.value.stage


def test_a_process_that_may_have_no_more_threads_says_so(monkeypatch):
    """The request fails, and the next one does not."""
    start, refuse = threading.Thread.start, [True]

    def refusing(thread):
        if thread.name.startswith("workerpool-dns") and refuse[0]:
            raise RuntimeError("can't start new thread")
        start(thread)

    with WorkerPool(retry=None) as pool:
        monkeypatch.setattr(threading.Thread, "start", refusing)
        with pytest.raises(ConnectError) as caught:
            pool.get("http://localhost:9/")
        assert "thread" in f"{caught.value} {caught.value.__cause__}"
        refuse[0] = False
        with pytest.raises(ConnectError) as caught:
            pool.get("http://localhost:9/")
        assert "connect" == caught.value.stage
