"""The end of the embedded site, and of its clients: nothing is left, and nothing is logged as an error."""

import logging
import re
import socket
import warnings

import pytest
from aiohttp import web

from workerpool.testing import FakePool, Site


@pytest.fixture
def unclosed(monkeypatch):
    """What was never closed and then collected, a text for each."""
    found = []
    # Told by __del__, where an error would be nobody's.
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest, **more: found.append(str(message)))
    with warnings.catch_warnings():
        warnings.simplefilter("always", ResourceWarning)
        yield found


def connect(site):
    return socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])))


def test_connections_that_are_being_accepted_are_closed(unclosed):
    """A site that ends in the moment in which clients come leaves no socket of theirs open."""
    for _ in range(30):
        site = Site()
        with site:
            clients = [connect(site) for _ in range(3)]
        for client in clients:
            client.close()
        del site
    assert [] == unclosed


def test_an_answer_that_nobody_reads_is_given_up(unclosed):
    """A client that stands still in the middle of a large answer holds up nothing."""
    for _ in range(3):
        site = Site()
        with site:
            client = connect(site)
            client.sendall(b"GET /large/100000 HTTP/1.1\r\nHost: a\r\n\r\n")
            site.wait_in_flight(1)
        client.close()
        del site
    assert [] == unclosed


def test_a_client_that_leaves_is_no_error(site, pool, caplog):
    """Who stops reading in the middle of an answer leaves no traceback of the server's in the log."""
    with pool.stream("GET", site.url_for("/large/100000")) as response:
        next(response.iter_bytes())
    site.wait_in_flight(0)
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_client_that_leaves_a_script_is_no_error(caplog):
    """So it is with a pool that has no network; what the handler itself raises is told."""

    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 2**16)

    async def wrong(request):
        raise ConnectionError("of the handler's own")

    with FakePool(retry=None) as pool:
        pool.reply(re.compile("/endless"), handler=endless)
        pool.reply(re.compile("/wrong"), handler=wrong)
        with pool.stream("GET", "http://a.test/endless") as response:
            next(response.iter_bytes())
        assert 500 == pool.get("http://a.test/wrong").status_code
    told = [record.exc_info[1] for record in caplog.records if record.levelno >= logging.ERROR]
    assert ["of the handler's own"] == [str(error) for error in told]
