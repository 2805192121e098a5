"""The head is too large, or not HTTP."""

from itertools import count

from .table import fault
from .wire import ANSWER, Wire, answer, head

_LENGTH = f"Content-Length: {len(ANSWER)}"


@fault("1,000 headers")
def headers_1000(wire: Wire) -> None:
    wire.send(answer(ANSWER, *(f"X-{n}: {n}" for n in range(1000))))


@fault("headers that do not end")
def headers_endless(wire: Wire) -> None:
    numbers = count()
    wire.send(b"HTTP/1.1 200 OK\r\n")
    wire.repeat(lambda: b"".join(b"X-%d: x\r\n" % next(numbers) for _ in range(1000)))


@fault("a header of 1 MiB")
def header_of_1_mib(wire: Wire) -> None:
    wire.send(answer(ANSWER, "X-Long: " + "x" * 2**20))
    wire.wait_gone()


@fault("a header value that does not end")
def header_endless(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    wire.repeat(lambda: b"x" * 2**16)


@fault("a header name that does not end")
def header_name_endless(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    wire.repeat(lambda: b"x" * 2**16)


@fault("a reason phrase that does not end")
def reason_endless(wire: Wire) -> None:
    wire.send(b"HTTP/1.1 200 ")
    wire.repeat(lambda: b"x" * 2**16)


@fault("empty lines that do not end, instead of a head")
def empty_lines_endless(wire: Wire) -> None:
    wire.repeat(lambda: b"\r\n" * 1000)


@fault("a NUL in a header value")
def header_with_nul(wire: Wire) -> None:
    wire.send(head("X-Odd: a\0b", _LENGTH), ANSWER)


@fault("a CR without LF in a header value")
def header_with_bare_cr(wire: Wire) -> None:
    wire.send(head("X-Odd: a\rContent-Length: 4", _LENGTH), ANSWER)


@fault("a header line without a colon")
def header_without_colon(wire: Wire) -> None:
    wire.send(head("X-Odd", _LENGTH), ANSWER)


@fault("a header line without a name")
def header_without_name(wire: Wire) -> None:
    wire.send(head(": odd", _LENGTH), ANSWER)


@fault("a space between a header's name and its colon")
def header_with_space_before_colon(wire: Wire) -> None:
    wire.send(head(f"Content-Length : {len(ANSWER)}"), ANSWER)


@fault("a header value that goes on in the next line (obs-fold)")
def header_folded(wire: Wire) -> None:
    wire.send(head("X-Odd: a\r\n b", _LENGTH), ANSWER)


@fault("a header value in bytes that are no UTF-8")
def header_not_utf8(wire: Wire) -> None:
    wire.send(head("X-Odd: \xff\xfe", _LENGTH), ANSWER)


@fault("lines that end in LF alone")
def lines_end_in_lf(wire: Wire) -> None:
    wire.send(head(_LENGTH).replace(b"\r\n", b"\n"), ANSWER)


@fault("random bytes instead of HTTP")
def garbage(wire: Wire) -> None:
    wire.send(bytes(range(255, 0, -1)), b"\r\n\r\n")
    wire.wait_gone()


@fault("the greeting of a mail server")
def another_protocol(wire: Wire) -> None:
    wire.send(b"220 mail.example ESMTP ready\r\n")
    wire.wait_gone()


@fault("a TLS alert on a plain connection", at="accept")
def tls_alert_on_plain(wire: Wire) -> None:
    wire.read()
    wire.send(b"\x15\x03\x01\x00\x02\x02\x46")
    wire.wait_gone()


@fault("a body without any head (HTTP/0.9)")
def http_0_9(wire: Wire) -> None:
    wire.send(b"<html>an old answer</html>")
    wire.close()


@fault("an answer of HTTP/1.0, which ends with the connection")
def http_1_0(wire: Wire) -> None:
    wire.send(b"HTTP/1.0 200 OK\r\n\r\n", ANSWER)
    wire.close()


@fault("a status line of HTTP/2.0")
def http_2_0(wire: Wire) -> None:
    wire.send(answer().replace(b"HTTP/1.1", b"HTTP/2.0"))


@fault("a status line of HTTP/3.7")
def http_3_7(wire: Wire) -> None:
    wire.send(answer().replace(b"HTTP/1.1", b"HTTP/3.7"))


@fault("a SETTINGS frame of HTTP/2")
def http_2_frame(wire: Wire) -> None:
    wire.send(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")
    wire.wait_gone()


@fault("a status line of HTTP/1.9")
def http_1_9(wire: Wire) -> None:
    wire.send(answer().replace(b"HTTP/1.1", b"HTTP/1.9"))


@fault("a charset that nobody knows")
def charset_unknown(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Content-Type: text/plain; charset=klingon"))


@fault("a Set-Cookie that is none")
def cookie_broken(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Set-Cookie: =;;; Domain=.com; Expires=never; Max-Age=x"))
