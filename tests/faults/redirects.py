"""Redirects that lead round and round, to nowhere, or to where nothing should go."""

from .table import fault
from .wire import ANSWER, CRLF, Wire, answer, chunk, head


def _to(location: str, body: bytes = b"") -> bytes:
    return answer(body, f"Location: {location}", status="302 Found")


def _path(wire: Wire) -> bytes:
    return wire.request.split(b" ", 2)[1]


@fault("a redirect to itself")
def redirect_loop(wire: Wire) -> None:
    wire.send(_to("/fault"))


@fault("a redirect to a new place each time")
def redirect_trap(wire: Wire) -> None:
    wire.send(_to(f"{_path(wire).decode()}/on"))


@fault("a redirect to javascript:alert(1)")
def redirect_to_javascript(wire: Wire) -> None:
    wire.send(_to("javascript:alert(1)"))


@fault("a redirect to file:///etc/passwd")
def redirect_to_file(wire: Wire) -> None:
    wire.send(_to("file:///etc/passwd"))


@fault("a redirect without Location")
def redirect_without_location(wire: Wire) -> None:
    wire.send(answer(ANSWER, status="302 Found"))


@fault("a redirect with an empty Location")
def redirect_to_empty(wire: Wire) -> None:
    wire.send(_to("", ANSWER))


@fault("a redirect to http://[::1, which is no URL")
def redirect_to_broken_url(wire: Wire) -> None:
    wire.send(_to("http://[::1"))


@fault("a redirect to http:///path, which has no host")
def redirect_to_no_host(wire: Wire) -> None:
    wire.send(_to("http:///path"))


@fault("a redirect to port 99999")
def redirect_to_no_port(wire: Wire) -> None:
    wire.send(_to("http://127.0.0.1:99999/"))


@fault("a redirect to bytes that are no text")
def redirect_to_bytes(wire: Wire) -> None:
    wire.send(_to("/good/\xe4\xff"))


@fault("a redirect from https to http", tls="good")
def redirect_downgrade(wire: Wire) -> None:
    wire.send(_to(wire.elsewhere + "/landed"))


@fault("a redirect to another origin")
def redirect_elsewhere(wire: Wire) -> None:
    wire.send(_to(wire.elsewhere + "/landed"))


@fault("a redirect with two Locations")
def redirect_to_two_places(wire: Wire) -> None:
    wire.send(answer(b"", "Location: /good/1", "Location: /good/2", status="302 Found"))


@fault("a redirect whose body does not end")
def redirect_with_endless_body(wire: Wire) -> None:
    wire.send(head("Location: /good/7", "Transfer-Encoding: chunked", status="302 Found"))
    wire.repeat(lambda: chunk(b"x" * 2**16))


@fault("a redirect whose body stops coming")
def redirect_with_stalled_body(wire: Wire) -> None:
    wire.send(head("Location: /good/7", "Content-Length: 100", status="302 Found"), CRLF)
    wire.wait_gone()


@fault("a redirect whose body ends early")
def redirect_with_cut_body(wire: Wire) -> None:
    wire.send(head("Location: /good/7", "Content-Length: 100", status="302 Found"), CRLF)
    wire.close()


@fault("a second answer behind a redirect, in the same segment")
def redirect_with_unasked_behind(wire: Wire) -> None:
    wire.send(_to("/good/7"), answer(b"nobody asked for this"))
