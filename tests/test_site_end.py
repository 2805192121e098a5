"""The end of the embedded site: nothing is left of connections that were on their way, or that nobody reads."""

import socket
import warnings

import pytest

from workerpool.testing import Site


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
