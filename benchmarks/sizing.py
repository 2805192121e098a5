"""How many nodes one client can keep busy: `python -m benchmarks.sizing`.

Measures runs on 1, 2 and 4 processes of this machine with small and large bodies, fits what a URL, an exchange and a
byte cost the client with the scheduler, and a URL and a byte a worker; checks that against a run that it has not seen,
and reckons what 10, 100 and 1,000 nodes come to. With `--costs` it reckons from numbers that are given, and measures
nothing.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from .cluster import Cost, measured
from .machine import machine
from .server import serving

__all__ = ["Model", "fitted", "solved"]

_SIZES = (1024, 65536)
_EXCHANGES = 40.0  # a second that a busy member makes at the most: parcels, and questions for outcomes
_NODES = (10, 100, 1000)


@dataclass(frozen=True, slots=True)
class Model:
    """Seconds of CPU: of the client for a URL, an exchange and a byte, of a worker for a URL and a byte."""

    url: float
    exchange: float
    byte: float
    worker_url: float
    worker_byte: float

    def client(self, urls: int, exchanges: int, size: int) -> float:
        """Return the client's seconds of CPU for a run."""
        return urls * (self.url + self.byte * size) + exchanges * self.exchange

    def workers(self, urls: int, size: int) -> float:
        """Return those of the workers."""
        return urls * (self.worker_url + self.worker_byte * size)

    def reckoned(self, nodes: int, cores: int, size: int) -> tuple[float, str, float]:
        """Return URLs a second of so many nodes at the most, what bounds them, and how busy the client is then."""
        members = nodes * cores
        most = members / self.workers(1, size)
        exchanges = min(_EXCHANGES * members, most)  # no more than there are URLs
        per_url = self.url + self.byte * size
        if most * per_url + exchanges * self.exchange <= 1.0:
            return most, "the workers' CPU", most * per_url + exchanges * self.exchange
        left = 1.0 - _EXCHANGES * members * self.exchange
        if left > 0.5:  # answers become as large as they may, and exchanges no more than that
            return left / per_url, "the client's CPU", 1.0
        full = 1024  # outcomes in an answer: with so many members each is asked more seldom
        return 1.0 / (per_url + self.exchange * 2 / full), "the client's CPU, answers as large as they may be", 1.0


def fitted(runs: Sequence[Cost]) -> Model:
    """Return the model that fits best, by least squares."""
    client = solved([(run.urls, run.exchanges, run.urls * run.size) for run in runs], [run.client for run in runs])
    worker = solved([(run.urls, run.urls * run.size) for run in runs], [run.workers for run in runs])
    return Model(*(max(each, 0.0) for each in (*client, *worker)))


def solved(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """Solve a system with more equations than unknowns, by its normal equations."""
    scales = [max(abs(row[place]) for row in rows) or 1.0 for place in range(len(rows[0]))]
    scaled = [[each / scale for each, scale in zip(row, scales, strict=True)] for row in rows]
    size = len(scales)
    left = [[sum(row[i] * row[j] for row in scaled) for j in range(size)] for i in range(size)]
    right = [sum(row[i] * value for row, value in zip(scaled, values, strict=True)) for i in range(size)]
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(left[row][i]))
        left[i], left[pivot], right[i], right[pivot] = left[pivot], left[i], right[pivot], right[i]
        for j in range(i + 1, size):
            factor = left[j][i] / left[i][i]
            left[j] = [a - factor * b for a, b in zip(left[j], left[i], strict=True)]
            right[j] -= factor * right[i]
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (right[i] - sum(left[i][j] * found[j] for j in range(i + 1, size))) / left[i][i]
    return [each / scale for each, scale in zip(found, scales, strict=True)]


def main() -> None:
    """Measure, fit, check and reckon."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing")
    parser.add_argument("--urls", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=8, help="worker processes of a node, one per core (8)")
    parser.add_argument("--costs", nargs=5, type=float, metavar="US",
                        help="microseconds: client per URL, exchange, KiB; worker per URL, KiB")  # fmt: skip
    options = parser.parse_args()
    if options.costs:
        url, exchange, kib, worker_url, worker_kib = (each / 1e6 for each in options.costs)
        model = Model(url, exchange, kib / 1024, worker_url, worker_kib / 1024)
    else:
        model = _measured(options.urls)
    print(
        f"client: {model.url * 1e6:.0f} us a URL, {model.exchange * 1e6:.0f} us an exchange,"
        f" {model.byte * 1024 * 1e6:.2f} us a KiB; worker: {model.worker_url * 1e6:.0f} us a URL,"
        f" {model.worker_byte * 1024 * 1e6:.2f} us a KiB"
    )
    for size in _SIZES:
        for nodes in _NODES:
            most, why, busy = model.reckoned(nodes, options.cores, size)
            print(
                f"{nodes:>5} nodes of {options.cores}, bodies of {size // 1024} KiB: {most:,.0f} URLs a second at most,"
                f" bounded by {why} (client {busy:.0%} busy)"
            )


def _measured(urls: int) -> Model:
    from workerpool.cluster import DaskPool

    runs, unseen = [], []
    for size in _SIZES:
        with serving(size) as server:
            if size == _SIZES[0]:
                print(machine(server.name))
            for processes in (1, 2, 4):
                with DaskPool(processes=processes) as pool:
                    measured(pool, server.url, urls // 10, size)
                    number = urls if size == _SIZES[0] else urls // 4
                    runs.append(measured(pool, server.url, number, size))
                    if processes == 2:
                        unseen.append(measured(pool, server.url, 2 * number, size))
                cost = runs[-1]
                print(
                    f"{processes} processes, {size // 1024} KiB: {cost.rate:,.0f}/s, client {cost.client:.2f} s,"
                    f" workers {cost.workers:.2f} s, {cost.exchanges} exchanges",
                    flush=True,
                )
    model = fitted(runs)
    for cost in unseen:
        client, workers = model.client(cost.urls, cost.exchanges, cost.size), model.workers(cost.urls, cost.size)
        print(
            f"not seen by the fit, {cost.size // 1024} KiB: client {cost.client:.2f} s, reckoned {client:.2f} s"
            f" ({client / cost.client - 1:+.0%}); workers {cost.workers:.2f} s, reckoned {workers:.2f} s"
            f" ({workers / cost.workers - 1:+.0%})"
        )
    return model


if __name__ == "__main__":
    main()
