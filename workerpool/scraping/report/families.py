"""Why items failed or were skipped, by family, with a few examples of each."""

from dataclasses import dataclass, field

from ...redaction import redact
from ..past import Past

__all__ = ["EXAMPLES", "Example", "Family", "count_in"]

EXAMPLES = 5
_FAMILIES = 200  # a run knows a few dozen; a user's own rules may make more
_LONGEST = 300  # characters of a URL, of a message


@dataclass(frozen=True, slots=True)
class Example:
    """One item: its number, its URL without secrets, its host, and what was said."""

    index: int
    url: str
    host: str
    message: str
    attempts: int


@dataclass(slots=True)
class Family:
    """Count items of one family; of the examples those of other hosts are preferred."""

    name: str
    count: int = 0
    apart: list[Example] = field(default_factory=list)
    alike: list[Example] = field(default_factory=list)

    @property
    def examples(self) -> list[Example]:
        """Some of them, of as many hosts as can be."""
        return [*self.apart, *self.alike][:EXAMPLES]

    def add(self, past: Past) -> None:
        """Count one."""
        self.count += 1
        if len(self.apart) >= EXAMPLES:
            return
        if all(past.host != each.host for each in self.apart):
            self.apart.append(_example(past))
        elif len(self.alike) < EXAMPLES:
            self.alike.append(_example(past))


def count_in(families: dict[str, Family], past: Past) -> None:
    """Count an outcome in the family that its reason names."""
    name = (past.reason or "other")[:_LONGEST]
    if name not in families and len(families) >= _FAMILIES:
        name = "other"
    if name not in families:
        families[name] = Family(name)
    families[name].add(past)


def _example(past: Past) -> Example:
    message = past.message or (f"status {past.status}" if past.status else "")
    return Example(past.index, redact(past.url)[:_LONGEST], past.host, message[:_LONGEST], len(past.attempts))
