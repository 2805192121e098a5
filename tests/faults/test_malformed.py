"""Several hundred damaged answers: no hang, no foreign exception, and the next request is right."""

import gzip
import importlib.util
import logging
import pickle
import random
import socket
from collections import Counter

import aiohttp
import pytest

from faults.server import Listener
from faults.wire import answer, chunk, head, read_head
from workerpool import ReadTimeout, RequestError, Response, Retry, Timeout, WorkerPool

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
SEEDS = range(60)
PATIENCE = 80  # seconds after which something hangs
SILENCE = Timeout(PATIENCE, read=1)  # ends what only a deadline would end, once it has been sent
AGAIN = Retry(wait_initial=0.001, wait_jitter=0)  # a connection may end under a good request, which is then asked again
TEXT = b"The quick brown fox jumps over the lazy dog. " * 4
TEMPLATES = {
    "plain": answer(TEXT, "Content-Type: text/plain; charset=utf-8", "Set-Cookie: id=7; Path=/"),
    "chunked": head("Transfer-Encoding: chunked") + chunk(TEXT[:30]) + chunk(TEXT[30:]) + b"0\r\nX-Sum: 7\r\n\r\n",
    "gzip": answer(gzip.compress(TEXT, mtime=0), "Content-Encoding: gzip"),
    "redirect": answer(b"over there", "Location: /good/77", status="302 Found"),
    "continued": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(TEXT),
    "until-close": head("Connection: close", "Content-Type: application/json") + b'{"n": 1}',
}


def flip(chance, data):
    for _ in range(chance.randint(1, 4)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(chance, data):
    begin = chance.randrange(len(data))
    del data[begin : begin + chance.randint(1, 20)]


def cut_off(chance, data):
    del data[chance.randrange(1, len(data)) :]


def insert(chance, data):
    place = chance.randrange(len(data))
    data[place:place] = chance.choice([b"\r\n", b"\n", b"\r", b"\0", b" ", b":", b"\r\n\r\n", bytes(range(250, 256))])


def double_line(chance, data):
    lines = bytes(data).split(b"\r\n")
    place = chance.randrange(len(lines))
    data[:] = b"\r\n".join([*lines[: place + 1], *lines[place:]])


def swap_lines(chance, data):
    lines = bytes(data).split(b"\r\n")
    chance.shuffle(lines)
    data[:] = b"\r\n".join(lines)


DAMAGES = (flip, cut, cut_off, insert, double_line, swap_lines)


def damaged(template, seed):
    """Return the template's answer with one or two damages, the same for the same seed."""
    chance = random.Random(f"{template} {seed}")
    data = bytearray(TEMPLATES[template])
    for _ in range(chance.randint(1, 2)):
        if data:
            chance.choice(DAMAGES)(chance, data)
    return bytes(data)


class DamagedServer:
    """Answer /TEMPLATE/SEED with that damaged answer, /good/N with its path; every other seed ends the connection."""

    def __init__(self):
        self.seen = []  # the path of each request
        self._listener = Listener(self._serve)
        self.url = f"http://127.0.0.1:{self._listener.port}"
        self.close = self._listener.close

    def _serve(self, connection):
        while request := read_head(connection):
            path = request.split(b" ", 2)[1].decode()
            self.seen.append(path)
            _, template, seed = (path + "//").split("/")[:3]
            if template not in TEMPLATES or not seed.isdecimal():
                connection.sendall(answer(path.encode()))
                continue
            connection.sendall(damaged(template, seed))
            if template == "until-close" or int(seed) % 2:
                return


class Loopback(aiohttp.ThreadedResolver):
    """Resolve nothing: a damaged Location may name any host."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        raise OSError(f"{host} is not asked for")


def loopback_socket(address):
    family, kind, protocol, _name, where = address
    if where[0] != "127.0.0.1":
        raise OSError(f"{where[0]} is not this machine")
    return socket.socket(family, kind, protocol)


def loopback_connector():
    return aiohttp.TCPConnector(resolver=Loopback(), socket_factory=loopback_socket)


@pytest.fixture
def server():
    """One of each test's own: it keeps books."""
    server = DamagedServer()
    yield server
    server.close()


@pytest.fixture(params=LOOPS)
def one_worker(request):
    with WorkerPool(
        workers=1, connections=80, connector=loopback_connector, event_loop=request.param, retry=None, max_body=2**20
    ) as pool:
        yield pool


def assert_usable(outcome):
    """An answer can be looked at from every side; an error is one of the pool's own."""
    if isinstance(outcome, Response):
        again = pickle.loads(pickle.dumps(outcome))
        assert (again.status_code, again.content) == (outcome.status_code, outcome.content)
        assert list(again.headers.items()) == list(outcome.headers.items())
        assert 100 <= outcome.status_code <= 999
        for lazy in ("text", "encoding", "cookies", "reason", "url", "history", "ok", "http_version"):
            getattr(outcome, lazy)
        repr(outcome)
    else:
        assert isinstance(outcome, RequestError), repr(outcome)
        assert 1 <= outcome.attempts
        assert str(outcome) == str(pickle.loads(pickle.dumps(outcome)))


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_damaged_answer_harms_nobody_else(template, server, one_worker, caplog):
    """Each damaged answer is an answer or an error of the pool's, and the good ones between are right."""
    jobs = []
    for seed in SEEDS:
        jobs.append(one_worker.submit(f"{server.url}/{template}/{seed}", timeout=SILENCE))
        jobs.append(one_worker.submit(f"{server.url}/good/{seed}", timeout=PATIENCE, retry=AGAIN))
    outcomes = [job.exception(PATIENCE) or job.result() for job in jobs]

    seen = Counter(server.seen)
    for seed, outcome in zip(SEEDS, outcomes[::2], strict=True):
        assert_usable(outcome)
        # One that meets a kept connection's end goes out on the next; the server may not have read it on the first. Nor
        # has it, where its thread had no turn for as long as the silence that the client bears.
        least = 0 if isinstance(outcome, ReadTimeout) else 1
        assert least <= seen[f"/{template}/{seed}"] <= outcome.attempts
    assert [f"/good/{seed}" for seed in SEEDS] == [str(getattr(good, "text", good)) for good in outcomes[1::2]]
    assert [f"/good/{n}" for n in range(20)] == [one_worker.get(f"{server.url}/good/{n}").text for n in range(20)]
    assert one_worker.drain(PATIENCE)
    assert 0 == one_worker.stats().in_flight
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_one_damaged_answer_after_the_other(template, server, loop):
    """On a single connection's place, each good request behind a damaged one gets its own answer."""
    with WorkerPool(workers=1, connections=1, connector=loopback_connector, event_loop=loop, retry=None) as narrow:
        for seed in range(1, len(SEEDS), 2):
            job = narrow.submit(f"{server.url}/{template}/{seed}", timeout=SILENCE)
            good = narrow.submit(f"{server.url}/good/{seed}", timeout=PATIENCE, retry=AGAIN)
            assert_usable(job.exception(PATIENCE) or job.result())
            assert f"/good/{seed}" == good.result().text


def test_the_undamaged_answers_are_right(server, one_worker):
    """What is damaged above was good before."""
    texts = {"plain": TEXT, "chunked": TEXT, "gzip": TEXT, "redirect": b"/good/77", "continued": TEXT}
    undamaged = Undamaged()
    try:
        for template, text in texts.items():
            assert text == one_worker.get(f"{undamaged.url}/{template}").content
    finally:
        undamaged.close()


class Undamaged(DamagedServer):
    """Answer /TEMPLATE with that answer as it is."""

    def _serve(self, connection):
        while request := read_head(connection):
            path = request.split(b" ", 2)[1].decode()
            connection.sendall(TEMPLATES.get(path[1:]) or answer(path.encode()))


def test_there_are_enough_of_them():
    """Three hundred different ones at least, and most of them really damaged."""
    answers = {damaged(template, seed) for template in TEMPLATES for seed in SEEDS}
    assert len(answers - set(TEMPLATES.values())) >= 300
