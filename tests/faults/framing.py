"""The body's frame is wrong: lengths that are none, chunks that are none, or no end at all."""

from .table import fault
from .wire import ANSWER, Wire, chunk, head

_LENGTH = len(ANSWER)
_CHUNKED = head("Transfer-Encoding: chunked")
_LAST = b"0\r\n\r\n"


@fault("Content-Length: -5")
def length_negative(wire: Wire) -> None:
    wire.send(head("Content-Length: -5"), ANSWER)


@fault("Content-Length: many")
def length_not_a_number(wire: Wire) -> None:
    wire.send(head("Content-Length: many"), ANSWER)


@fault("Content-Length: +18")
def length_with_sign(wire: Wire) -> None:
    wire.send(head(f"Content-Length: +{_LENGTH}"), ANSWER)


@fault("Content-Length: 1 8")
def length_with_space(wire: Wire) -> None:
    wire.send(head("Content-Length: 1 8"), ANSWER)


@fault("Content-Length, with nothing after the colon")
def length_empty(wire: Wire) -> None:
    wire.send(head("Content-Length:"), ANSWER)


@fault("a Content-Length of 30 digits")
def length_beyond_64_bits(wire: Wire) -> None:
    wire.send(head("Content-Length: " + "9" * 30), ANSWER)


@fault("a Content-Length of 10 TiB")
def length_beyond_max_body(wire: Wire) -> None:
    wire.send(head(f"Content-Length: {10 * 2**40}"), ANSWER)


@fault("two Content-Lengths that differ")
def length_twice_different(wire: Wire) -> None:
    wire.send(head(f"Content-Length: {_LENGTH}", "Content-Length: 4"), ANSWER)


@fault("one Content-Length with two values: 18, 4")
def length_of_two_values(wire: Wire) -> None:
    wire.send(head(f"Content-Length: {_LENGTH}, 4"), ANSWER)


@fault("Content-Length beside Transfer-Encoding: chunked")
def length_beside_chunked(wire: Wire) -> None:
    wire.send(head("Content-Length: 4", "Transfer-Encoding: chunked"), chunk(ANSWER), _LAST)


@fault("Transfer-Encoding: chunked, chunked")
def chunked_twice(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: chunked, chunked"), chunk(ANSWER), _LAST)


@fault("a Transfer-Encoding that nobody knows, beside a Content-Length")
def transfer_encoding_unknown(wire: Wire) -> None:
    wire.send(head("Transfer-Encoding: banana", f"Content-Length: {_LENGTH}"), ANSWER)


@fault("a chunk whose size is no number")
def chunk_size_not_a_number(wire: Wire) -> None:
    wire.send(_CHUNKED, b"zz\r\n", ANSWER, b"\r\n", _LAST)


@fault("a good chunk, and in a later segment one whose size is no number")
def chunk_size_not_a_number_later(wire: Wire) -> None:
    wire.send(_CHUNKED, chunk(ANSWER))
    wire.pause()
    wire.send(b"zz\r\n", ANSWER)
    wire.wait_gone()


@fault("an announced chunk, and in a later segment more bytes than it may have")
def chunk_longer_than_its_size_later(wire: Wire) -> None:
    wire.send(_CHUNKED, b"12\r\n")
    wire.pause()
    wire.send(ANSWER * 2, _LAST)
    wire.wait_gone()


@fault("a chunk of size -5")
def chunk_size_negative(wire: Wire) -> None:
    wire.send(_CHUNKED, b"-5\r\n", ANSWER, b"\r\n", _LAST)


@fault("a chunk of size 0x12")
def chunk_size_with_prefix(wire: Wire) -> None:
    wire.send(_CHUNKED, b"0x12\r\n", ANSWER, b"\r\n", _LAST)


@fault("a chunk size of 30 hexadecimal digits")
def chunk_size_beyond_64_bits(wire: Wire) -> None:
    wire.send(_CHUNKED, b"f" * 30, b"\r\n", ANSWER)


@fault("a chunk longer than its size says")
def chunk_longer_than_its_size(wire: Wire) -> None:
    wire.send(_CHUNKED, b"4\r\n", ANSWER, b"\r\n", _LAST)


@fault("a chunk extension of 1 MiB")
def chunk_extension_huge(wire: Wire) -> None:
    wire.send(_CHUNKED, b"12;", b"x" * 2**20, b"\r\n", ANSWER, b"\r\n", _LAST)


@fault("a chunk extension that does not end")
def chunk_extension_endless(wire: Wire) -> None:
    wire.send(_CHUNKED, b"12;")
    wire.repeat(lambda: b"x" * 2**16)


@fault("trailers after the last chunk")
def trailers(wire: Wire) -> None:
    wire.send(_CHUNKED, chunk(ANSWER), b"0\r\nX-Sum: 7\r\n\r\n")


@fault("trailers that do not end")
def trailers_endless(wire: Wire) -> None:
    wire.send(_CHUNKED, chunk(ANSWER), b"0\r\n")
    wire.pause()
    wire.repeat(lambda: b"X-Sum: 7\r\n" * 1000)


@fault("chunks of one byte each, 10,000 of them")
def chunks_tiny(wire: Wire) -> None:
    wire.send(_CHUNKED, chunk(b"x") * 10_000, _LAST)


@fault("chunks that do not end")
def body_endless_chunked(wire: Wire) -> None:
    wire.send(_CHUNKED)
    wire.repeat(lambda: chunk(b"x" * 2**16))


@fault("a body without announced length that does not end")
def body_endless(wire: Wire) -> None:
    wire.send(head("Connection: close"))
    wire.repeat(lambda: b"x" * 2**16)
