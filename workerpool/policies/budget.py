"""The retry budget: how many retries a lane may make. Used on one worker's loop only."""

__all__ = ["RetryBudget"]

_AT_ONCE = 4.0  # retries that a lane may make before anything else is known, or what one request may make
_PER_ATTEMPT = 0.1  # and for each first attempt
_PER_GOOD = 1.0  # and for each good answer
_SAVED = 50.0  # that can be saved up


class RetryBudget:
    """Grant a lane's retries, so that they never make an outage worse.

    Good answers pay for retries; where nothing succeeds, the server is asked 1.1 times as often as the callers
    asked, and a few times more. The idea is gRPC's retry throttling (proposal A6).
    """

    __slots__ = ("_left",)

    def __init__(self, retries: int) -> None:
        self._left = max(_AT_ONCE, retries)

    def attempted(self) -> None:
        """Count a first attempt."""
        self._left += _PER_ATTEMPT

    def succeeded(self) -> None:
        """Count a good answer."""
        if self._left < _SAVED:
            self._left += _PER_GOOD

    def take(self) -> bool:
        """Take one retry, if there is one left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
