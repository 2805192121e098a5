"""When a webhook's message is tried, and for how long. Pure."""

import random

__all__ = ["DELAYS", "TRIES", "WINDOW", "delay_after", "last_try"]

DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)  # seconds after each try that was not taken
TRIES = len(DELAYS) + 1
_JITTER = 0.1  # of each delay, to either side: so that messages that failed together do not come together again
_LONGEST = max(DELAYS)  # what a Retry-After may ask for at most
WINDOW = (sum(DELAYS) * (1 - _JITTER), sum(DELAYS) * (1 + _JITTER))  # seconds from the first try to the last one


def delay_after(id: str, failed: int, asked: float | None = None) -> float | None:
    """Return the seconds before the next try, after so many that failed; None: there is none.

    The jitter is the message's own, so that its next tries can be told beforehand. A receiver may ask for more.
    """
    if failed > len(DELAYS):
        return None
    jitter = random.Random(f"{id} {failed}").uniform(1 - _JITTER, 1 + _JITTER)
    return max(DELAYS[failed - 1] * jitter, min(asked or 0.0, _LONGEST))


def last_try(id: str, failed: int, due_at: float) -> float:
    """Return when a message is tried for the last time if nothing is taken, and no Retry-After asks for more."""
    return due_at + sum(delay_after(id, number) or 0.0 for number in range(failed + 1, TRIES))
