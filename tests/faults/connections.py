"""The connection ends, crawls or stops: before, in and after the head, and in the body."""

from .table import fault
from .wire import ANSWER, Wire, answer, chunk, head

_HALF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Le"
_EVERY = 0.05  # seconds between the bytes of a drip
_LONG = head(f"Content-Length: {10 * len(ANSWER)}")


@fault("nobody listens at the port", at="never")
def connection_refused(wire: Wire) -> None:
    raise AssertionError


@fault("an RST as soon as the connection is there", at="accept")
def reset_at_once(wire: Wire) -> None:
    wire.reset()


@fault("the connection is closed as soon as it is there", at="accept")
def close_at_once(wire: Wire) -> None:
    wire.close()


@fault("an RST instead of an answer")
def reset_before_head(wire: Wire) -> None:
    wire.reset()


@fault("half a head, then an RST")
def reset_in_head(wire: Wire) -> None:
    wire.send(_HALF_HEAD)
    wire.reset()


@fault("a whole head, then an RST")
def reset_after_head(wire: Wire) -> None:
    wire.send(_LONG)
    wire.reset()


@fault("part of the announced body, then an RST")
def reset_in_body(wire: Wire) -> None:
    wire.send(_LONG, ANSWER)
    wire.reset()


@fault("a body without announced length, which only the close would end; then an RST")
def reset_in_body_until_close(wire: Wire) -> None:
    wire.send(head("Connection: close"), ANSWER)
    wire.reset()


@fault("one chunk, then an RST")
def reset_in_chunked(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER))
    wire.reset()


@fault("the connection is closed instead of an answer")
def close_before_head(wire: Wire) -> None:
    wire.close()


@fault("half a head, then the end")
def close_in_head(wire: Wire) -> None:
    wire.send(_HALF_HEAD)
    wire.close()


@fault("a whole head that announces a body, then the end")
def close_after_head(wire: Wire) -> None:
    wire.send(_LONG)
    wire.close()


@fault("a tenth of the announced body, then the end")
def close_in_body(wire: Wire) -> None:
    wire.send(_LONG, ANSWER)
    wire.close()


@fault("no length announced: the close is the body's regular end")
def body_until_close(wire: Wire) -> None:
    wire.send(head("Connection: close"), ANSWER)
    wire.close()


@fault("the end in the middle of a chunk")
def close_in_chunk(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER)[:-6])
    wire.close()


@fault("the end in the middle of a chunk's size")
def close_in_chunk_size(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER), b"1")
    wire.close()


@fault("whole chunks, but the end comes without the last one, of size 0")
def no_last_chunk(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER))
    wire.close()


@fault("the last chunk is there, the empty line after it is not")
def no_line_after_last_chunk(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER), b"0\r\n")
    wire.close()


@fault("a byte of the head every 50 ms, longer than the deadline")
def drip_head(wire: Wire) -> None:
    wire.drip(answer(), _EVERY)


@fault("a byte of the body every 50 ms, longer than the deadline")
def drip_body(wire: Wire) -> None:
    wire.send(_LONG)
    wire.drip(ANSWER * 10, _EVERY)


@fault("byte by byte, but within the deadline")
def drip_in_time(wire: Wire) -> None:
    wire.drip(answer(), 0.001)


@fault("the request is read and never answered")
def stall_before_head(wire: Wire) -> None:
    wire.wait_gone()


@fault("half a head, then silence")
def stall_in_head(wire: Wire) -> None:
    wire.send(_HALF_HEAD)
    wire.wait_gone()


@fault("a whole head, then silence")
def stall_after_head(wire: Wire) -> None:
    wire.send(_LONG)
    wire.wait_gone()


@fault("part of the body, then silence")
def stall_in_body(wire: Wire) -> None:
    wire.send(_LONG, ANSWER)
    wire.wait_gone()


@fault("one chunk, then silence")
def stall_in_chunked(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER))
    wire.wait_gone()


@fault("a body without announced end, then silence")
def stall_in_body_until_close(wire: Wire) -> None:
    wire.send(head("Connection: close"), ANSWER)
    wire.wait_gone()
