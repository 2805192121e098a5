"""What the page draws as curves over time, as data."""

from collections.abc import Callable
from functools import partial
from typing import Any

from .figures import Figures
from .timeline import Moment

__all__ = ["curves"]

_MOST = 600  # points; more cannot be told apart on a screen
_LONGEST_LOOK = 5.0  # seconds that one look at the run stands for at most
_VERDICTS = (("fetched", "--c2xx"), ("failed", "--c5xx"), ("skipped", "--cskipped"))


def curves(figures: Figures) -> dict[str, Any]:
    """Return times, and by the name of each chart its lines; a value of None is a gap."""
    width, points = figures.timeline.points(_MOST)
    moments = [moment for _, moment in points]
    causes = sorted(figures.causes, key=lambda cause: -figures.causes[cause])
    rates = [
        _line(name, colour, [_rate(moment, name, width) for moment in moments], fill=name == "fetched")
        for name, colour in _VERDICTS
        if figures.verdicts[name] or name == "fetched"
    ]
    flight = _line("under way", "--c0", _means(moments, width, lambda moment: moment.in_flight), fill=True)
    sizes = _line("bytes", "--c2", [_rate(moment, "bytes", width) for moment in moments], fill=True)
    waits = [
        _line(name, f"--c{number % 7}", _means(moments, width, partial(_hosts_waiting, name)))
        for number, name in enumerate(causes)
    ]
    return {
        "step": width,
        "times": [round(time + width / 2, 3) for time, _ in points],
        "charts": {
            "rate": {"lines": rates, "unit": "/s"},
            "flight": {"lines": [flight]},
            "bytes": {"lines": [sizes], "unit": " B/s"},
            "waits": {"lines": waits, "unit": " hosts"},
        },
    }


def _line(name: str, colour: str, values: list[float | None], *, fill: bool = False) -> dict[str, Any]:
    return {"name": name, "colour": colour, "values": values, "fill": fill}


def _hosts_waiting(cause: str, moment: Moment) -> int:
    return moment.causes.get(cause, 0)


def _rate(moment: Moment | None, name: str, width: float) -> float | None:
    return None if moment is None else round(getattr(moment, name) / width, 3)


def _means(moments: list[Moment | None], width: float, total: Callable[[Moment], int]) -> list[float | None]:
    """Return what was seen on average; between looks what the last one saw; None where nobody looked for long."""
    found: list[float | None] = []
    last, since = None, 0.0
    for moment in moments:
        since += width
        if moment is None or since > _LONGEST_LOOK:
            last = None
        if moment is not None and moment.looks:
            last, since = round(total(moment) / moment.looks, 2), 0.0
        found.append(last)
    return found
