"""Has the pool lost speed? Its ratios to the floor, beside those that were stored."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .runner import Outcome, Setup, measure
from .scenarios import SCENARIOS
from .table import Figures

__all__ = ["compare", "losses", "store"]

_STORED = Path(__file__).with_name("ratios.json")
_WORSE = {"rate": 0.85, "cpu": 1 / 0.85}  # times the stored ratio, as a limit; a tenth is noise on a shared machine

Ratios = Mapping[str, Mapping[str, float]]  # by contestant, then by key


def store(outcomes: Mapping[str, Outcome]) -> None:
    """Keep the pool's ratios of these scenarios, beside what is there of others."""
    stored = json.loads(_STORED.read_text()) if _STORED.exists() else {}
    for name, outcome in outcomes.items():
        stored[name] = {each: _ratios(figures) for each, figures in outcome.figures.items() if "pool" in each}
    _STORED.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


def compare(setup: Setup) -> int:
    """Measure what is stored, print what was found, and return how many losses a second run has confirmed."""
    confirmed = 0
    for name, stored in json.loads(_STORED.read_text()).items():
        scenario = SCENARIOS[name]
        scenario = replace(scenario, contestants=(scenario.contestants[0], *stored))
        lost = losses(stored, measure(scenario, setup).figures)
        if lost:
            again = losses(stored, measure(scenario, setup).figures)
            lost = {what: f"{text}, then {again[what]}" for what, text in lost.items() if what in again}
        print(f"{name}: {'; '.join(lost.values()) or 'no loss'}", flush=True)
        confirmed += len(lost)
    return confirmed


def losses(stored: Ratios, figures: Mapping[str, Figures]) -> dict[tuple[str, str], str]:
    """Return each ratio that is worse than the stored one by more than noise, by contestant and key, in words."""
    found = {}
    for contestant, before in stored.items():
        now = _ratios(figures[contestant])
        for key, factor in _WORSE.items():
            limit = before[key] * factor
            if now[key] < limit if factor < 1 else now[key] > limit:
                found[contestant, key] = (
                    f"{contestant} {key} {now[key]:.2f} of the floor's instead of {before[key]:.2f}"
                )
    return found


def _ratios(figures: Figures) -> dict[str, float]:
    return {key: round(figures[f"{key} ratio"], 3) for key in _WORSE}
