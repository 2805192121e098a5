"""The circuit breaker: whether a host that could not be reached is asked at all. Used on one worker's loop only."""

from collections.abc import Callable
from time import monotonic

__all__ = ["Breaker", "Circuit"]

_FAILURES = 10  # connection failures in a row that open the circuit
_PAUSE = 0.5  # seconds until the first probe; doubled for each one that fails
_PAUSE_MAX = 30.0
_KEPT = 10_000  # hosts in trouble that are remembered


class Circuit:
    """What is known of one host that could not be reached."""

    __slots__ = ("failures", "pause", "probing", "until")

    def __init__(self) -> None:
        self.failures: int = 0  # in a row
        self.until: float = 0.0  # when the next probe may go; 0 while the circuit is closed
        self.pause: float = _PAUSE
        self.probing: bool = False


class Breaker:
    """Refuse requests to a host that cannot be reached, but for a probe from time to time.

    A host that can be reached is not remembered, so that the usual request pays nothing.
    """

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self.circuits: dict[str, Circuit] = {}  # of hosts that could not be reached; empty, as a rule

    def wait(self, host: str) -> float | None:
        """Return None if the host may be asked, else the seconds until the next probe."""
        circuit = self.circuits.get(host)
        if circuit is None or not circuit.until:
            return None
        now = self._clock()
        if circuit.until > now:
            return circuit.until - now
        circuit.until = now + circuit.pause  # this one is the probe; the others wait for its outcome
        circuit.probing = True
        return None

    def reached(self, host: str) -> None:
        """Note that a connection was made: the circuit is closed."""
        self.circuits.pop(host, None)

    def failed(self, host: str) -> None:
        """Note that no connection could be made; opens the circuit after some in a row."""
        circuit = self.circuits.get(host) or self._remember(host)
        circuit.failures += 1
        if circuit.until:
            if not circuit.probing:
                return  # it was under way when the circuit opened
            circuit.probing = False
            circuit.pause = min(2 * circuit.pause, _PAUSE_MAX)
        if circuit.failures >= _FAILURES:
            circuit.until = self._clock() + circuit.pause

    def _remember(self, host: str) -> Circuit:
        while len(self.circuits) >= _KEPT:
            del self.circuits[next(iter(self.circuits))]
        circuit = self.circuits[host] = Circuit()
        return circuit
