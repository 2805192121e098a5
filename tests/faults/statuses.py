"""Statuses that are none, and more interim answers than anybody needs."""

from .table import fault
from .wire import ANSWER, Wire, answer, head

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@fault("status 99")
def status_99(wire: Wire) -> None:
    wire.send(answer(status="99 Low"))


@fault("status 1000")
def status_1000(wire: Wire) -> None:
    wire.send(answer(status="1000 High"))


@fault("status 000")
def status_000(wire: Wire) -> None:
    wire.send(answer(status="000 None"))


@fault("status abc")
def status_abc(wire: Wire) -> None:
    wire.send(answer(status="abc OK"))


@fault("no status at all")
def status_missing(wire: Wire) -> None:
    wire.send(b"HTTP/1.1\r\n\r\n")
    wire.wait_gone()


@fault("status 999, as some sites send it")
def status_999(wire: Wire) -> None:
    wire.send(answer(status="999 Denied"))


@fault("a status line that ends after the status")
def reason_missing(wire: Wire) -> None:
    wire.send(answer(status="200"))


@fault("one 100 Continue that nobody asked for, then the answer")
def continue_once(wire: Wire) -> None:
    wire.send(_CONTINUE, answer())


@fault("a 103 with headers of its own, then the answer")
def early_hints(wire: Wire) -> None:
    wire.send(head("Link: </a.css>; rel=preload", status="103 Early Hints"), answer())


@fault("100 Continue, 1,000 times, then the answer")
def continue_1000(wire: Wire) -> None:
    wire.send(_CONTINUE * 1000, answer())


@fault("100 Continue without end")
def continue_endless(wire: Wire) -> None:
    wire.repeat(lambda: _CONTINUE * 1000)


@fault("a 100 Continue, then silence")
def stall_after_continue(wire: Wire) -> None:
    wire.send(_CONTINUE)
    wire.wait_gone()


@fault("a 100 Continue, then the end")
def close_after_continue(wire: Wire) -> None:
    wire.send(_CONTINUE)
    wire.close()


@fault("101 Switching Protocols that nobody asked for")
def switching_unasked(wire: Wire) -> None:
    wire.send(head("Upgrade: banana", "Connection: Upgrade", status="101 Switching Protocols"), ANSWER)
    wire.wait_gone()


@fault("503 with a Retry-After of a week")
def retry_after_a_week(wire: Wire) -> None:
    wire.send(answer(ANSWER, "Retry-After: 604800", status="503 Later"))
