"""The private names of aiohttp that the fast path relies on: its parser, its protocol, its connector's idle connections."""

import asyncio
import importlib.util
import inspect

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

FACTORIES = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop"):
    FACTORIES["uvloop"] = importlib.import_module("uvloop").new_event_loop


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\nA: c\r\n\r\nhello"


def with_parser(run, fed, **options):
    """Return what the function makes of a parser like the fast path's; one that asks for the loop is given one."""
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.http_parser import HttpResponseParser

    async def make():
        loop = asyncio.get_running_loop()
        common = {"response_with_body": True, "read_until_eof": True, "auto_decompress": False}
        common["payload_exception"] = aiohttp.ClientPayloadError
        return fed(HttpResponseParser(ResponseHandler(loop), loop, 2**19, **(common | options)))

    return run(make())


def test_the_parser_is_the_one_in_c():
    """`HttpResponseParserC` is there only where extensions are in use, and is what the protocol makes then."""
    from aiohttp import client_proto, http_parser

    assert http_parser.HttpResponseParserC is http_parser.HttpResponseParser is client_proto.HttpResponseParser


def test_a_parser_gives_messages_with_their_payloads(run):
    """`feed_data` returns three results; `code`, `reason`, `headers`, `version`, `should_close`, `chunked` are there."""

    def fed(parser):
        ((message, payload),), upgraded, tail = parser.feed_data(ANSWER)
        whole = (payload.is_eof(), payload.total_bytes, payload.read_nowait(), payload.read_nowait())
        return message, whole, upgraded, tail

    message, whole, upgraded, tail = with_parser(run, fed)
    assert (200, "OK", (1, 1), False, False) == (
        message.code,
        message.reason,
        message.version,
        message.should_close,
        message.chunked,
    )
    assert [("Content-Length", "5"), ("A", "b"), ("A", "c")] == [*message.headers.items()]
    assert ((True, 5, b"hello", b""), False, b"") == (whole, upgraded, tail)


def test_a_parser_goes_on_with_a_body_and_with_the_next_answer(run):
    """It lasts: what comes in pieces is told by the payload, and answers behind each other come together."""

    def fed(parser):
        ended = []
        ((_message, payload),), *_ = parser.feed_data(ANSWER[:-2])
        payload.on_eof(lambda: ended.append(True))
        before = (payload.is_eof(), payload.read_nowait(), *ended)
        messages, *_ = parser.feed_data(ANSWER[-2:] + ANSWER + ANSWER[:-5])
        return before, payload.read_nowait(), ended, [each.is_eof() for _, each in messages]

    assert ((False, b"hel"), b"lo", [True], [True, False]) == with_parser(run, fed)


def test_a_parser_says_whether_it_has_begun_another_answer(run):
    """`feed_eof` returns a message where a head has begun, and nothing behind a whole answer or an empty line."""

    def fed(behind):
        def feed(parser):
            parser.feed_data(ANSWER + behind)
            return parser.feed_eof() is not None

        return feed

    ends = {behind: with_parser(run, fed(behind)) for behind in (b"", b"\r\n", b"H", b"HTTP/1.1 20", ANSWER[:30])}
    assert [False, False, True, True, True] == [*ends.values()]


def test_a_body_without_a_length_ends_with_feed_eof(run):
    """And one that is cut raises there."""
    from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError

    def fed(head):
        def feed(parser):
            ((_message, payload),), *_ = parser.feed_data(head + b"\r\n2\r\nab")
            parser.feed_eof()
            return payload.is_eof(), payload.read_nowait()

        return feed

    assert (True, b"2\r\nab") == with_parser(run, fed(b"HTTP/1.1 200 OK\r\n"))
    with pytest.raises(ContentLengthError):
        with_parser(run, fed(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n"))
    with pytest.raises(TransferEncodingError):
        with_parser(run, fed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"))


def test_a_body_that_is_here_lies_in_its_pieces(run):
    """`_eof` tells that all of it has come, `_buffer` holds it, from its beginning, until somebody reads."""

    def fed(*pieces):
        def feed(parser):
            ((_message, payload),), *_ = parser.feed_data(pieces[0])
            for piece in pieces[1:]:
                parser.feed_data(piece)
            return payload._eof, [*payload._buffer]

        return feed

    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert (True, [b"hello"]) == with_parser(run, fed(ANSWER))
    assert (False, [b"hel"]) == with_parser(run, fed(ANSWER[:-2]))
    assert (True, [b"hel", b"lo"]) == with_parser(run, fed(ANSWER[:-2], ANSWER[-2:]))
    assert (True, [b"ab", b"c"]) == with_parser(run, fed(chunked))
    assert (True, []) == with_parser(run, fed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))


def test_an_answer_without_a_body_has_the_empty_payload(run):
    """`EMPTY_PAYLOAD` is at its end, gives nothing, and calls back at once; that to HEAD has no other."""
    from aiohttp.streams import EMPTY_PAYLOAD

    def fed(data):
        def feed(parser):
            ((_message, payload),), *_ = parser.feed_data(data)
            return payload

        return feed

    assert EMPTY_PAYLOAD is with_parser(run, fed(ANSWER[:-5]), response_with_body=False)
    empty = with_parser(run, fed(b"HTTP/1.1 204 No Content\r\n\r\n"))
    told = []
    EMPTY_PAYLOAD.on_eof(lambda: told.append(True))
    assert (True, b"", None, [True]) == (
        EMPTY_PAYLOAD.is_eof(),
        EMPTY_PAYLOAD.read_nowait(),
        EMPTY_PAYLOAD.exception(),
        told,
    )
    assert (True, b"") == (empty.is_eof(), empty.read_nowait())


def test_an_idle_connection_is_taken_in_one_step(run):
    """`_get` waits for nothing without traces, and `_waiters` is empty where nobody waits for a connection."""

    async def take():
        async with aiohttp.TCPConnector() as connector:
            request = aiohttp.ClientRequest("GET", URL("http://a.test"), loop=asyncio.get_running_loop())
            with pytest.raises(StopIteration) as found:
                connector._get(request.connection_key, []).send(None)
            return found.value.value, bool(connector._waiters)

    assert (None, False) == run(take())
    source = inspect.getsource(aiohttp.BaseConnector._get)
    assert source.count("await ") == source.count("await trace.send_") > 0
    assert "self._release_waiter()" in inspect.getsource(aiohttp.BaseConnector._release_acquired)
    assert "self._waiters" in inspect.getsource(aiohttp.BaseConnector._release_waiter)


def test_a_connection_is_given_back_or_closed_by_its_protocol():
    """`release` asks `should_close`, which looks at what the fast path sets; `close` closes the protocol."""
    from aiohttp.client_proto import ResponseHandler

    assert "self._connector._release(self._key, self._protocol)" in inspect.getsource(
        aiohttp.connector.Connection.release
    )
    assert "or protocol.should_close" in inspect.getsource(aiohttp.BaseConnector._release)
    assert "should_close=True" in inspect.getsource(aiohttp.connector.Connection.close)
    looked_at = inspect.getsource(ResponseHandler.should_close.fget)
    for name in ("_should_close", "_payload", "_exception", "_buffer", "_tail"):
        assert f"self.{name}" in looked_at


def test_a_head_with_a_line_break_is_refused():
    """`_serialize_headers` writes name and value as they are, and nothing that would make a line of its own."""
    from aiohttp.http_writer import _serialize_headers

    assert b"GET / HTTP/1.1\r\nA: b\r\nA: \xc3\xa9\r\n\r\n" == _serialize_headers(
        "GET / HTTP/1.1", CIMultiDict([("A", "b"), ("A", "\xe9")])
    )
    for headers in ({"A": "b\r\nC: d"}, {"A\n": "b"}, {"A": "b\r"}):
        with pytest.raises(ValueError):
            _serialize_headers("GET / HTTP/1.1", CIMultiDict(headers))


def test_a_protocol_reads_by_its_parser():
    """`_parser` is set by `set_response_params`, and `_drain_tail` gives it what came before; timers need a limit."""
    from aiohttp.base_protocol import BaseProtocol
    from aiohttp.client_proto import ResponseHandler

    source = inspect.getsource(ResponseHandler.set_response_params)
    assert "self._parser = HttpResponseParser(" in source
    assert "self._drain_tail()" in source
    assert "timeout = self._read_timeout" in inspect.getsource(ResponseHandler._reschedule_timeout)
    lost = inspect.getsource(ResponseHandler.connection_lost)
    assert lost.index("self._parser.feed_eof()") < lost.index("self.set_exception(")
    assert "ServerDisconnectedError(uncompleted)" in lost
    for name in ("_reading_paused", "_buffer_paused"):
        assert f"self.{name} = False" in inspect.getsource(BaseProtocol.__init__)
    assert "self._reading_paused = True" in inspect.getsource(BaseProtocol.pause_reading)
    assert 'self.data_received(b"")' in inspect.getsource(BaseProtocol.resume_reading)


@pytest.mark.parametrize("factory", FACTORIES)
def test_what_comes_in_is_given_to_the_method_of_the_class(factory):
    """A loop may look `data_received` up when the connection is made: it is there from the beginning, for all ways."""
    from workerpool.transport.inside.protocol import HttpProtocol, has_news

    assert {"data_received", "connection_made", "connection_lost", "eof_received"} <= vars(HttpProtocol).keys()
    found = []

    class Noting(HttpProtocol):
        def data_received(self, data):
            found.append(data)

    async def say(_reader, writer):
        writer.write(b"said")
        await writer.drain()
        writer.transport.abort()

    async def receive():
        server = await asyncio.start_server(say, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(
            lambda: Noting(loop, set(), has_news), *server.sockets[0].getsockname()[:2]
        )
        assert protocol.transport is transport
        while not found:
            await asyncio.sleep(0)
        transport.abort()
        server.close()
        while protocol.transport is not None:
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=FACTORIES[factory]) as runner:
        runner.run(receive())
    assert [b"said"] == found
