"""The table of faults: each is one function, named after its kind, with a line on what happens on the wire."""

from collections.abc import Callable
from dataclasses import dataclass

from .wire import Wire

__all__ = ["FAULTS", "Act", "Fault", "fault"]

Act = Callable[[Wire], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """Say what goes wrong, and when.

    `at` is when the function is called: for each "request" but the good ones, for the first connection as soon as
    it is there ("accept"), or "never": nobody listens. `tls` names the server's certificate, "" for plain HTTP.
    `needs` is a module without which the fault cannot be made. `room` is the file that it is in.
    """

    kind: str
    says: str
    act: Act
    room: str
    method: str = "GET"
    at: str = "request"
    tls: str = ""
    needs: str = ""

    @property
    def spoils_port(self) -> bool:
        """Whether no good answer can be had from the same port."""
        return self.at == "never" or self.tls not in ("", "good")


FAULTS: dict[str, Fault] = {}


def fault(
    says: str, *, method: str = "GET", at: str = "request", tls: str = "", needs: str = ""
) -> Callable[[Act], Act]:
    """Enter the function into the table, under its own name."""

    def enter(act: Act) -> Act:
        kind = act.__name__.strip("_").replace("_", "-")
        assert kind not in FAULTS
        room = act.__module__.rpartition(".")[2]
        FAULTS[kind] = Fault(kind, says, act, room, method, at, tls, needs)
        return act

    return enter
