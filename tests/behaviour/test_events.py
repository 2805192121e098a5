"""Server-sent events: what the standard says, reconnection, and streams that are none."""

import threading

import pytest
from streams import event_server

import workerpool.caller.sse
from workerpool import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    HTTPStatusError,
    ProtocolError,
    Retry,
    ServerSentEvent,
)
from workerpool.caller.sse import EventStream


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("data: one\n\n", [("one", "message", "")]),
        ("data: one\r\rdata:two\r\n\r\n", [("one", "message", ""), ("two", "message", "")]),
        ("data: a\ndata\ndata:  b\n\n", [("a\n\n b", "message", "")]),
        ("event: add\ndata: 1\n\ndata: 2\n\n", [("1", "add", ""), ("2", "message", "")]),
        ("id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", [("1", "message", "7"), ("2", "message", "7"), ("3", "message", "")]),
        ("id: a\0b\ndata: 1\n\n", [("1", "message", "")]),
        (": a comment\n\nevent: nothing\n\nunknown: x\ndata: 1\n\n", [("1", "message", "")]),
        ("data: no blank line follows", []),
        ("\ufeffdata: é\n\n", [("é", "message", "")]),
    ],
)  # fmt: skip
def test_the_standard_is_kept(pool, text, events):
    """Fields, line ends, comments, ids, and what is no event; always UTF-8, whatever the server says."""
    with event_server((200, text.encode())) as (url, _ids), pool.stream("GET", url) as stream:
        assert [ServerSentEvent(*event) for event in events] == list(stream.iter_events(reconnect=False))


def test_a_stream_goes_on_where_it_ended(pool):
    """After an end, and after a lost connection, it is asked for anew with the last id, until the server says 204."""
    first = b"retry: 10\nid: 1\ndata: one\n\n"
    answers = (200, first), (200, 1000), (200, b"data: three\n\n"), (204, b"")
    with event_server(*answers) as (url, ids), pool.stream("GET", url, timeout=None) as stream:
        events = list(stream.iter_events())
    assert [("one", "1"), ("cut", "cut"), ("three", "cut")] == [(event.data, event.id) for event in events]
    assert [None, "1", "cut", "cut"] == ids
    assert pool.drain(10)


@pytest.mark.parametrize("body", [{"json": {"prompt": "once"}}, {"data": iter([b"once"])}], ids=["POST", "iterator"])
def test_what_no_retry_would_send_again_is_sent_once(pool, body):
    """The proper end of its stream is the end, whatever the body; a lost connection is an error."""
    ends = (200, b"retry: 10\ndata: token\n\n"), (200, b"data: twice\n\n"), (204, b"")
    with event_server(*ends) as (url, ids), pool.stream("POST", url, **body) as stream:
        assert ["token"] == [event.data for event in stream.iter_events()]
        assert [None] == ids
    with event_server((200, 1000), (204, b"")) as (url, ids), pool.stream("POST", url, json={}) as stream:
        events = stream.iter_events()
        assert "cut" == next(events).data
        with pytest.raises(ConnectionLost):
            next(events)
        assert [None] == ids


def test_a_body_that_cannot_be_sent_again_is_sent_once(pool):
    """Also of a method that may be repeated; where the server bears a POST twice, `Retry(methods=...)` says so."""
    with event_server((200, b"data: token\n\n"), (204, b"")) as (url, ids):
        with pool.stream("GET", url, data=iter([b"once"])) as stream:
            assert ["token"] == [event.data for event in stream.iter_events()]
    assert [None] == ids
    with event_server((200, b"retry: 10\nid: 1\ndata: token\n\n"), (204, b"")) as (url, ids):
        with pool.stream("POST", url, json={}, retry=Retry(methods={"POST"})) as stream:
            assert ["token"] == [event.data for event in stream.iter_events()]
    assert [None, "1"] == ids


def test_the_last_id_begins_with_the_callers_own(pool):
    """It goes along until the stream has another one; an id that was reset, or never there, is not sent."""
    answers = [(200, b"retry: 10\n" + rest) for rest in (b"data: 1\n\n", b"id: 7\ndata: 2\n\n", b"id\ndata: 3\n\n")]
    for headers, sent in ({"Last-Event-ID": "42"}, "42"), ({}, None):
        with event_server(*answers, (204, b"")) as (url, ids), pool.stream("GET", url, headers=headers) as stream:
            assert [(str(number), id) for number, id in zip((1, 2, 3), (sent or "", "7", ""), strict=True)] == [
                (event.data, event.id) for event in stream.iter_events()
            ]
        assert [sent, sent, "7", None] == ids


def test_the_id_of_an_event_that_was_cut_is_not_sent(pool):
    """The server would go on behind an event that nobody has seen."""
    first = b"retry: 10\nid: 1\ndata: one\n\nid: 2\ndata: tw"
    with event_server((200, first), (204, b"")) as (url, ids), pool.stream("GET", url) as stream:
        assert [("one", "1")] == [(event.data, event.id) for event in stream.iter_events()]
    assert [None, "1"] == ids


def test_closing_ends_the_wait_for_the_next_connection(pool):
    """Another thread that closes the response ends the iteration, however long the pause."""
    with event_server((200, b"retry: 100000\ndata: one\n\n")) as (url, _ids), pool.stream("GET", url) as stream:
        seen = []

        def read():
            seen.extend(stream.iter_events())

        reader = threading.Thread(target=read)
        reader.start()
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
        assert [event.data for event in seen] in ([], ["one"])


def test_a_server_that_has_gone_is_told_after_ten_tries(pool, monkeypatch):
    """The error of the last try is raised."""
    monkeypatch.setattr(workerpool.caller.sse, "_SHORTEST_PAUSE", 0.001)
    with event_server((200, b"retry: 0\ndata: one\n\n")) as (url, _ids):
        stream = pool.stream("GET", url, retry=None)
        response = stream.__enter__()
    events = response.iter_events()
    assert "one" == next(events).data
    with pytest.raises(ConnectError):
        next(events)
    stream.__exit__(None, None, None)


def test_what_is_no_event_stream_is_said(pool, site):
    """Another content type, a bad status, and an event without end are typed errors."""
    with pool.stream("GET", site.url_for("/fast/1")) as stream, pytest.raises(ProtocolError, match="no event stream"):
        next(stream.iter_events())
    with pool.stream("GET", site.url_for("/status/404")) as stream, pytest.raises(HTTPStatusError):
        next(stream.iter_events())
    endless = b"data: 0123456789\n" * 100
    with event_server((200, endless)) as (url, _ids), pool.stream("GET", url) as stream:
        with pytest.raises(BodyTooLarge, match="an event is longer"):
            next(stream.iter_events(max_line=500))


@pytest.mark.parametrize("bad", ["a\x01b", "a\x7fb", "a\x1bb", "x" * 1001])
def test_an_id_that_no_header_can_carry_is_dropped(bad, pool):
    """The stream goes on, and is asked for anew with the id before."""
    first = f"retry: 1\nid: good\ndata: one\n\nid: {bad}\ndata: two\n\n".encode()
    with event_server((200, first), (204, b"")) as (url, ids), pool.stream("GET", url, timeout=None) as stream:
        assert [("one", "good"), ("two", "good")] == [(event.data, event.id) for event in stream.iter_events()]
    assert [None, "good"] == ids


def test_a_pause_is_bounded():
    """A server cannot put its reader to sleep for a year."""
    stream = EventStream(100)
    assert [] == list(stream.events(["retry: 99999999999", "retry: ²", "retry: -1"]))
    assert 300 == stream.pause
    assert [] == list(stream.events(["retry: 0"]))
    assert 0.5 == stream.pause
    assert [] == list(stream.events(["retry: " + "9" * 5000]))
    assert 300 == stream.pause
    assert [] == list(stream.events(["retry: " + "0" * 5000 + "2000", "retry:", "retry: 1_0"]))
    assert 2 == stream.pause
