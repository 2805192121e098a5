"""More than was asked for: bytes or an end that the next request on the connection would run into."""

from .table import fault
from .wire import ANSWER, Wire, answer, chunk, head

_UNASKED = answer(b"nobody asked for this")


@fault("a second answer, in the same segment as the good one")
def unasked_in_same_segment(wire: Wire) -> None:
    wire.send(answer(), _UNASKED)


@fault("a second answer, in a segment right behind the good one")
def unasked_right_behind(wire: Wire) -> None:
    wire.send(answer())
    wire.send(_UNASKED)


@fault("a second answer, later, on the idle connection")
def unasked_while_idle(wire: Wire) -> None:
    wire.send(answer())
    wire.wait_read()
    wire.send(_UNASKED)


@fault("half of a second answer, later, on the idle connection")
def half_unasked_while_idle(wire: Wire) -> None:
    wire.send(answer())
    wire.wait_read()
    wire.send(_UNASKED[:20])


@fault("a 408 on the idle connection, then its end, as servers do that clean up")
def timeout_while_idle(wire: Wire) -> None:
    wire.send(answer())
    wire.wait_read()
    wire.send(answer(b"", "Connection: close", status="408 Request Timeout"))
    wire.close()


@fault("the idle connection is closed")
def close_while_idle(wire: Wire) -> None:
    wire.send(answer())
    wire.wait_read()
    wire.close()


@fault("the idle connection is reset")
def reset_while_idle(wire: Wire) -> None:
    wire.send(answer())
    wire.wait_read()
    wire.reset()


@fault("Connection: close, but it is left open, and a second answer follows")
def close_announced_only(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Connection: close"), _UNASKED)


@fault("bytes after the announced body that are no HTTP")
def bytes_after_body(wire: Wire) -> None:
    wire.send(answer(), b"\x00\x01 and more")


@fault("a line end after the announced body")
def line_end_after_body(wire: Wire) -> None:
    wire.send(answer(), b"\r\n")


@fault("bytes after the last chunk that are no HTTP")
def bytes_after_last_chunk(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked"), chunk(ANSWER), b"0\r\n\r\n", b"\x00\x01 and more")


@fault("a body although the answer is to HEAD", method="HEAD")
def head_with_body(wire: Wire) -> None:
    wire.send(answer())


@fault("a body although the answer is to HEAD, in a later segment", method="HEAD")
def head_with_body_later(wire: Wire) -> None:
    wire.send(head(f"Content-Length: {len(ANSWER)}"))
    wire.wait_read()
    wire.send(ANSWER)


@fault("a body although the status is 204")
def no_content_with_body(wire: Wire) -> None:
    wire.send(answer(status="204 No Content"))


@fault("a body although the status is 304")
def not_modified_with_body(wire: Wire) -> None:
    wire.send(answer(status="304 Not Modified"))


@fault("chunks although the status is 204")
def no_content_with_chunks(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked", status="204 No Content"), chunk(ANSWER), b"0\r\n\r\n")
