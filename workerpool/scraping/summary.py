"""What a run comes to, in numbers."""

from dataclasses import dataclass, field

from .outcome import Outcome

__all__ = ["Summary"]


@dataclass(slots=True)
class Summary:
    """Count what became of the items; `reasons` counts why they were skipped or failed, or answered with an error.

    `statuses` counts the answers by the class of their status, such as 2xx; `left_out`, in the end, what
    was found and never asked for, by the rule. In rounds `changes` counts what has changed since the last one, and
    `not_named`, once it is complete, what was fetched before and is in the inputs no more.
    """

    fetched: int = 0
    failed: int = 0
    skipped: int = 0
    retried: int = 0
    bytes: int = 0
    seconds: float = 0.0
    complete: bool = False
    left_out: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    not_named: int = 0

    @property
    def asked(self) -> int:
        """How many items were asked for and have their outcome."""
        return self.fetched + self.failed

    def count(self, outcome: Outcome) -> None:
        """Count an outcome."""
        setattr(self, outcome.verdict, getattr(self, outcome.verdict) + 1)
        if outcome.response is not None:
            self.bytes += outcome.size
            kind = f"{outcome.response.status_code // 100}xx"
            self.statuses[kind] = self.statuses.get(kind, 0) + 1
        if outcome.change is not None:
            self.changes[outcome.change] = self.changes.get(outcome.change, 0) + 1
        if outcome.reason is not None:
            self.reasons[outcome.reason] = self.reasons.get(outcome.reason, 0) + 1
