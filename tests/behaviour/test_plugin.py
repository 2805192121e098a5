"""The pytest plugin: its fixtures as a user's project sees them, and the leaks that fail a test."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workerpool.testing import ScriptedSite

INI = """
    [pytest]
    filterwarnings = error
    addopts = --strict-markers -p pytest_workerpool -p no:cacheprovider
    timeout = 60
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Run a file of tests in a process of its own, with this plugin, xdist's and pytest-timeout's only."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whether this one is installed must not matter
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini(INI)

    def run(source, *args):
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "xdist", "-p", "pytest_timeout", *args)

    return run


def test_the_plugin_loads_nothing_that_is_large():
    """Every run of pytest loads it, whether it needs a pool or not."""
    code = "import sys, pytest_workerpool; print({'aiohttp', 'workerpool', 'asyncio.events'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout in ("set()\n", "{'asyncio.events'}\n")


def test_the_fake_answers_from_its_script(project):
    """All of the client is real, nothing of the network."""
    result = project(FAKE)
    result.assert_outcomes(passed=FAKE.count("def test_") + 6)  # one has seven cases


FAKE = """
import asyncio
import gzip
import re
import socket

import pytest
from aiohttp import web

from workerpool import ConnectError, ConnectionLost, ConnectTimeout, DeadlineExceeded, DNSError, Lane, ReadTimeout, Timeout
from workerpool import TLSError, TruncatedBody, WorkerPool
from workerpool.testing import UnexpectedRequest


def test_urls_are_compared_whole(workerpool_fake):
    workerpool_fake.reply("https://api.test/a?b=1", json={"n": 1})
    workerpool_fake.reply(re.compile(r"^https://api\\.test/"), text="any")
    assert {"n": 1} == workerpool_fake.get("https://api.test:443/a", params={"b": 1}).json()
    assert "any" == workerpool_fake.get("https://api.test/a").text
    assert [("/a", "1"), ("/a", None)] == [(each.path, each.query.get("b")) for each in workerpool_fake.requests]


def test_methods_have_replies_of_their_own(workerpool_fake):
    workerpool_fake.reply("http://a.test/", text="rest")
    workerpool_fake.reply("http://a.test/", method="delete", status=204)
    assert [204, 200] == [workerpool_fake.request(m, "http://a.test").status_code for m in ("DELETE", "GET")]


def test_replies_come_in_order_and_the_last_stays(workerpool_fake):
    for text in "abc":
        workerpool_fake.reply("http://a.test/", text=text)
    assert list("abccc") == [workerpool_fake.get("http://a.test/").text for _ in range(5)]


def test_times_says_how_often(workerpool_fake):
    workerpool_fake.reply("http://a.test/", text="twice", times=2)
    workerpool_fake.reply("http://a.test/", text="then")
    assert ["twice", "twice", "then", "then"] == [workerpool_fake.get("http://a.test/").text for _ in range(4)]


def test_a_503_is_tried_again(workerpool_fake):
    workerpool_fake.reply("http://a.test/", status=503)
    workerpool_fake.reply("http://a.test/", text="well")
    assert 2 == workerpool_fake.get("http://a.test/").attempts == len(workerpool_fake.requests)


def test_redirects_are_followed_to_https(workerpool_fake):
    workerpool_fake.reply("http://a.test/", status=302, headers={"Location": "https://b.test/end#part"})
    workerpool_fake.reply("https://b.test/end", text="end")
    response = workerpool_fake.get("http://a.test/")
    assert ("end", 1) == (response.text, len(response.history))


def test_a_session_keeps_cookies(workerpool_fake):
    workerpool_fake.reply("http://a.test/in", headers={"Set-Cookie": "who=me"})
    workerpool_fake.reply("http://a.test/", text="page")
    with workerpool_fake.session() as browser:
        browser.get("http://a.test/in")
        browser.get("http://a.test/")
    assert "who=me" == workerpool_fake.requests[-1].headers["Cookie"]


def test_a_body_is_recorded(workerpool_fake):
    workerpool_fake.reply("http://a.test/", status=201)
    workerpool_fake.post("http://a.test/", json={"a": 1})
    workerpool_fake.post("http://a.test/", data=(b"x" * 70_000 for _ in range(40)))
    first, second = workerpool_fake.requests
    assert ("POST", {"a": 1}, 2_800_000) == (first.method, first.json(), len(second.body))


def test_answers_are_decoded(workerpool_fake):
    workerpool_fake.reply("http://a.test/", body=gzip.compress(b"plain"), headers={"Content-Encoding": "gzip"})
    assert b"plain" == workerpool_fake.get("http://a.test/").content


async def endless(request):
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 2**16)


def test_a_body_is_streamed_as_it_is_read(workerpool_fake):
    workerpool_fake.reply("http://a.test/", handler=endless)
    size = 0
    with workerpool_fake.stream("GET", "http://a.test/") as response:
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > 2**24:
                break
    assert size > 2**24


async def cut(request):
    answer = web.StreamResponse(headers={"Content-Length": "10"})
    await answer.prepare(request)
    await answer.write(b"half")
    request.transport.close()
    return answer


def test_a_body_may_be_cut(workerpool_fake):
    workerpool_fake.reply("http://a.test/", handler=cut)
    with pytest.raises(TruncatedBody):
        workerpool_fake.get("http://a.test/", retry=None)


@pytest.mark.parametrize(
    ("error", "expected", "stage"),
    [
        ("reset", ConnectionLost, "headers"),
        (BrokenPipeError(), ConnectionLost, "headers"),
        (OSError(113, "No route to host"), ConnectError, "connect"),
        (ConnectionRefusedError(), ConnectError, "connect"),
        (TimeoutError(), ConnectTimeout, "connect"),
        (socket.gaierror(-2, "Name or service not known"), DNSError, "dns"),
        (__import__("ssl").SSLError(1, "handshake"), TLSError, "tls"),
    ],
)
def test_errors_are_those_of_a_network(workerpool_fake, error, expected, stage):
    workerpool_fake.reply("http://a.test/", error=error)
    with pytest.raises(expected) as caught:
        workerpool_fake.get("http://a.test/", retry=None)
    assert (stage, 1) == (caught.value.stage, len(workerpool_fake.requests))


def test_an_error_may_be_any_exception(workerpool_fake):
    workerpool_fake.reply("http://a.test/", error=KeyError("mine"))
    with pytest.raises(KeyError):
        workerpool_fake.get("http://a.test/")


def test_a_lost_connection_is_tried_again(workerpool_fake):
    workerpool_fake.reply("http://a.test/", error="reset", times=1)
    workerpool_fake.reply("http://a.test/", text="well")
    assert 2 == workerpool_fake.get("http://a.test/").attempts


def test_a_delay_meets_the_deadline(workerpool_fake):
    workerpool_fake.reply("http://a.test/", delay=30)
    with pytest.raises(DeadlineExceeded):
        workerpool_fake.get("http://a.test/", timeout=0.05)
    with pytest.raises(ReadTimeout):
        workerpool_fake.get("http://a.test/", timeout=Timeout(read=0.05), retry=None)


@pytest.mark.workerpool(workers=2, lanes=[Lane("api", base_url="https://api.test/", per_host=1, rate=1000)])
def test_lanes_of_the_test_are_in_memory_too(workerpool_fake):
    workerpool_fake.reply("https://api.test/n", text="n")
    lane = workerpool_fake.lane("api")
    assert ["n"] * 20 == [job.result().text for job in [lane.submit("/n") for _ in range(20)]]
    assert 2 == len(workerpool_fake.stats().workers)


def test_functions_and_websockets_are_in_memory_too(workerpool_fake):
    async def page(session):
        async with session.get("http://a.test/") as response:
            return await response.text()

    async def shout(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    workerpool_fake.reply("http://a.test/", text="page")
    workerpool_fake.reply("ws://a.test/shout", handler=shout)
    assert "page" == workerpool_fake.submit(page).result()
    with workerpool_fake.websocket("ws://a.test/shout") as link:
        link.send("hello")
        assert "HELLO" == link.recv(timeout=10)


def test_no_socket_is_opened(workerpool_fake, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    for name in ("socket", "getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    workerpool_fake.reply("https://a.test/", text="page")
    with workerpool_fake.session() as browser:
        assert "page" == browser.get("https://a.test/").text
    assert "page" == workerpool_fake.get("https://a.test/", timeout=10).text


def test_a_script_that_cannot_be_is_refused(workerpool_fake, workerpool_server):
    for wrong in ({"json": 1, "text": "a"}, {"times": 0}, {"error": "fire"}):
        with pytest.raises(ValueError):
            workerpool_fake.reply("http://a.test/", **wrong)
    with pytest.raises(ValueError, match="workerpool_fake"):
        workerpool_server.reply("/", error=OSError())
"""


def test_the_servers_answer_from_their_script(project):
    """Real servers, in parallel processes, each with what it was told."""
    result = project(SERVER, "-n2")
    result.assert_outcomes(passed=SERVER.count("def test_"))


SERVER = """
import re
import urllib.request

import pytest
from aiohttp import web

from workerpool import ConnectionLost, DeadlineExceeded, TLSError


def test_scripted_pages_come_before_the_sites(workerpool, workerpool_server):
    workerpool_server.reply("/fast/1", json=[1])
    workerpool_server.reply("/find?q=tea", text="leaves")
    workerpool_server.reply(re.compile(r"^/any"), status=404)
    urls = map(workerpool_server.url_for, ["/fast/1", "/find?q=tea", "/any/where?a=b", "/fast/2"])
    first, second, third, fourth = [workerpool.get(url) for url in urls]
    assert ([1], "leaves", 404) == (first.json(), second.text, third.status_code)
    assert fourth.text.startswith("fast page 2")
    assert "/any/where" == workerpool_server.requests[2].path


def test_any_client_may_ask(workerpool_server):
    workerpool_server.reply("/a b", method="POST", status=201, text="made", headers={"X-Tag": "7"})
    with urllib.request.urlopen(workerpool_server.url + "/a%20b", data=b"body", timeout=10) as answer:
        assert (201, "7", b"made") == (answer.status, answer.headers["X-Tag"], answer.read())
    (request,) = workerpool_server.requests
    assert ("POST", b"body", "body") == (request.method, request.body, request.text)


def test_redirects_cookies_and_retries(workerpool, workerpool_server):
    workerpool_server.reply("/in", status=303, headers={"Location": "/home", "Set-Cookie": "who=me"})
    workerpool_server.reply("/home", status=503)
    workerpool_server.reply("/home", text="home")
    with workerpool.session() as browser:
        assert "home" == browser.get(workerpool_server.url_for("/in")).text
    assert "who=me" == workerpool_server.requests[-1].headers["Cookie"]


def test_a_stream(workerpool, workerpool_server):
    workerpool_server.reply("/big", body=b"x" * 3_000_000)
    with workerpool.stream("GET", workerpool_server.url_for("/big")) as response:
        assert 3_000_000 == sum(map(len, response.iter_bytes()))


def test_a_reset(workerpool, workerpool_server):
    workerpool_server.reply("/", error="reset", times=1)
    workerpool_server.reply("/", text="well")
    with pytest.raises(ConnectionLost):
        workerpool.get(workerpool_server.url_for("/"), retry=None)
    assert "well" == workerpool.get(workerpool_server.url_for("/")).text


def test_a_delay_meets_the_deadline(workerpool, workerpool_server):
    workerpool_server.reply("/", delay=30)
    with pytest.raises(DeadlineExceeded):
        workerpool.get(workerpool_server.url_for("/"), timeout=0.1)


def test_a_handler_decides(workerpool, workerpool_server):
    async def handler(request):
        return web.json_response({"got": (await request.read()).decode()})

    workerpool_server.reply("/", handler=handler)
    assert {"got": "tea"} == workerpool.post(workerpool_server.url_for("/"), data=b"tea").json()


def test_tls_is_trusted(workerpool, workerpool_tls_server, workerpool_server):
    workerpool_tls_server.reply("/", text="secret")
    assert "secret" == workerpool.get(workerpool_tls_server.url_for("/")).text
    assert "secret" == workerpool.get(workerpool_tls_server.url.replace("127.0.0.1", "localhost")).text
    workerpool_server.reply("/to", status=302, headers={"Location": workerpool_tls_server.url})
    assert "secret" == workerpool.get(workerpool_server.url_for("/to")).text
    context = workerpool_tls_server.ssl_context
    with urllib.request.urlopen(workerpool_tls_server.url, context=context, timeout=10) as answer:
        assert b"secret" == answer.read()


@pytest.mark.workerpool(ssl=True)
def test_a_marker_wins_over_the_server(workerpool, workerpool_tls_server):
    with pytest.raises(TLSError):
        workerpool.get(workerpool_tls_server.url, retry=None)


@pytest.mark.workerpool(workers=3, name="outer")
class TestMarkers:
    @pytest.mark.workerpool(name="inner")
    def test_the_nearest_wins(self, workerpool):
        assert ("inner", 3) == (workerpool.name, len(workerpool.stats().workers))


def test_all_at_once(workerpool, workerpool_fake, workerpool_server, workerpool_tls_server):
    workerpool_fake.reply("http://a.test/", text="fake")
    assert "fake" == workerpool_fake.get("http://a.test/").text
    assert workerpool.get(workerpool_server.url).ok
    assert workerpool.get(workerpool_tls_server.url).ok
"""


def test_what_is_left_behind_fails_the_test(project):
    """Each kind of leak by its name, and nothing else; and only for those who do not allow it."""
    result = project(LEAKS)
    result.assert_outcomes(passed=LEAKS.count("def test_"), errors=LEAKS.count("# leaks"))
    told = [line.partition("left behind ")[2] for line in result.outlines if line.startswith("the test left behind")]
    expected = [
        "thread 'forgotten'",
        "task 'forever' on workerpool-0",
        "socket *: ('127.0.0.1', *)",
        "1 jobs of pool 'workerpool', 1 in flight: GET http://127.0.0.1:*/hold/1",
        "1 jobs of pool 'workerpool', 1 in flight: forever",
        "3 jobs of pool 'workerpool-fake', 1 in flight: GET http://a.test*",
        "1 jobs of pool 'workerpool', 1 in flight: GET http://127.0.0.1:*/large/100000",
        "thread 'workerpool-0'",
    ]
    assert len(expected) == len(told), told
    result.stdout.fnmatch_lines([f"the test left behind {each}" for each in expected])
    result.stdout.fnmatch_lines(["no reply was scripted for GET http://nowhere.test/?q=1"])


LEAKS = '''
import asyncio
import socket
import threading
import time

import pytest
from workerpool.testing import UnexpectedRequest

end = threading.Event()
kept = []


@pytest.fixture(scope="session", autouse=True)
def others():
    """What others hold is no leak."""
    thread = threading.Thread(target=end.wait, name="others")
    thread.start()
    with socket.create_server(("127.0.0.1", 0)):
        yield
    end.set()
    thread.join()


async def forever(session):
    await asyncio.Event().wait()


async def leave_a_task(session):
    kept.append(asyncio.create_task(forever(session)))


def listen():
    kept.append(socket.create_server(("127.0.0.1", 0)))


def start():
    threading.Thread(target=end.wait, name="forgotten", daemon=True).start()


def test_thread(workerpool_server):  # leaks
    start()


def test_task(workerpool):  # leaks
    workerpool.submit(leave_a_task).result()


def test_socket(workerpool_fake):  # leaks
    listen()


def test_job(workerpool, workerpool_server):  # leaks
    workerpool.submit(workerpool_server.url_for("/hold/1"))
    workerpool_server.wait_in_flight(1)


def test_function(workerpool):  # leaks
    workerpool.submit(forever)
    while not workerpool.stats().in_flight:
        time.sleep(0.01)


@pytest.mark.workerpool(connections=1)
def test_queue(workerpool_fake):  # leaks
    workerpool_fake.reply("http://a.test/", delay=30)
    for _ in range(3):
        workerpool_fake.submit("http://a.test/")
    while not workerpool_fake.requests:
        time.sleep(0.01)


def test_stream(workerpool, workerpool_server):  # leaks
    kept.append(workerpool.stream("GET", workerpool_server.url_for("/large/100000")))
    kept[-1].__enter__()


def test_a_worker_that_does_not_end(workerpool):  # leaks
    async def block(session):
        end.wait()

    workerpool.submit(block)
    workerpool.shutdown(wait=False)


def test_unexpected(workerpool_fake):  # leaks
    workerpool_fake.reply("http://a.test/", text="a")
    with pytest.raises(UnexpectedRequest, match=r"GET http://nowhere\\.test/\\?q=1; scripted: any http://a\\.test/"):
        workerpool_fake.get("http://nowhere.test/?q=1#part")


@pytest.mark.workerpool_leaks("threads", "sockets")
def test_allowed(workerpool):
    start()
    listen()


@pytest.mark.workerpool_leaks()
def test_all_is_allowed(workerpool, workerpool_server):
    listen()
    workerpool.submit(leave_a_task).result()
    workerpool.submit(workerpool_server.url_for("/hold/1"))


def test_tidy(workerpool, workerpool_server):
    jobs = [workerpool.submit(workerpool_server.url_for("/slow/1?delay=5")) for _ in range(5)]
    assert all(job.cancel() for job in jobs)
    thread = threading.Thread(target=time.sleep, args=(0.3,))  # ends a little later
    thread.start()

    async def brief(session):
        kept.append(asyncio.create_task(asyncio.sleep(0.02)))

    workerpool.submit(brief).result()


def test_closed_by_the_test(workerpool):
    workerpool.shutdown()
'''


def test_without_trustme_the_cure_is_told(project, pytester):
    """Only the server with a certificate needs the extra."""
    pytester.makeconftest("import sys; sys.modules['trustme'] = None")
    result = project("""
        def test_tls(workerpool, workerpool_tls_server):
            pass

        def test_plain(workerpool, workerpool_server):
            assert workerpool.get(workerpool_server.url).ok
        """)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*pip install 'aiohttp-workerpool[[]testing]'*"])


def test_the_document_is_right(project):
    """Every test that docs/testing.md shows passes as it stands, several at once."""
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    shown = re.findall(r"```python\n(.*?)```", text, re.S)
    source = "\n".join(shown)
    project(source, "-n2").assert_outcomes(passed=source.count("def test_"))


def test_the_document_names_every_fixture_and_option(project):
    """A fixture or a keyword of reply that the page does not tell fails."""
    text = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
    listed = project("", "--fixtures", "-q").outlines
    fixtures = {line.split()[0] for line in listed if line.startswith("workerpool")}
    assert len(fixtures) == 4
    options = set(inspect.signature(ScriptedSite.reply).parameters) - {"self"}
    assert set() == {name for name in fixtures | options if f"`{name}`" not in text}
