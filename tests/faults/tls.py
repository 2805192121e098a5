"""TLS: certificates to refuse, handshakes that stop, and ends that anybody in the middle could have made."""

from .table import fault
from .wire import ANSWER, Wire, answer, head

_HALF_HEAD = b"HTTP/1.1 200 OK\r\nConte"
_LONG = head(f"Content-Length: {10 * len(ANSWER)}")


@fault("a certificate that expired yesterday", tls="expired")
def tls_expired(wire: Wire) -> None:
    wire.send(answer())


@fault("a certificate for another host", tls="wrong-host")
def tls_wrong_host(wire: Wire) -> None:
    wire.send(answer())


@fault("a certificate of an authority that nobody trusts", tls="untrusted")
def tls_untrusted(wire: Wire) -> None:
    wire.send(answer())


@fault("the handshake is never answered", tls="good", at="accept")
def tls_stall_in_handshake(wire: Wire) -> None:
    wire.wait_gone()


@fault("the connection is closed in the handshake", tls="good", at="accept")
def tls_close_in_handshake(wire: Wire) -> None:
    wire.read()
    wire.close()


@fault("an RST in the handshake", tls="good", at="accept")
def tls_reset_in_handshake(wire: Wire) -> None:
    wire.reset()


@fault("plain HTTP on a TLS port", tls="good", at="accept")
def tls_port_speaks_plain(wire: Wire) -> None:
    wire.read()
    wire.send(answer(status="400 Bad Request"))
    wire.close()


@fault("part of the announced body, then the end without close_notify", tls="good")
def tls_cut_in_body(wire: Wire) -> None:
    wire.send(_LONG, ANSWER)
    wire.close()


@fault("a body that only the end would end, and that comes without close_notify", tls="good")
def tls_cut_in_body_until_close(wire: Wire) -> None:
    wire.send(head("Connection: close"), ANSWER)
    wire.close()


@fault("half a head, then bytes that are no TLS", tls="good")
def tls_garbage_in_head(wire: Wire) -> None:
    wire.send(_HALF_HEAD)
    wire.send_plain(b"no record of TLS")
    wire.wait_gone()


@fault("half a head over TLS, then silence", tls="good")
def tls_stall_in_head(wire: Wire) -> None:
    wire.send(_HALF_HEAD)
    wire.wait_gone()
