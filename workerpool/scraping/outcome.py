"""An outcome: what became of one item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ..messages.response import Response
from .item import Item
from .validators import Change, Validators

__all__ = ["Attempt", "Change", "Outcome", "Saved", "Verdict"]

Verdict = Literal["fetched", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: when it began (seconds since the epoch), how long it waited for its turn and took, and its end.

    `error` is the name of an error's class, and `stage` how far the request had come when it struck.
    """

    started: float
    waited: float = 0.0
    took: float = 0.0
    status: int | None = None
    error: str | None = None
    stage: str | None = None
    message: str | None = None

    @property
    def is_try(self) -> bool:
        """Whether it counts as a try: not where it led elsewhere, or only told that the body is for a file."""
        leads_on = self.status is not None and 300 <= self.status < 400
        return not leads_on and self.error != "BodyTooLarge"


class File(Protocol):
    """A whole file that has no name yet."""

    def publish(self, target: Path, *, sync: bool) -> None:
        """Give it its name."""

    def drop(self) -> None:
        """Remove it."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A body that was too large for memory: in a file, whole, until a sink gives that its name."""

    file: File
    size: int
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an item: an answer, an error, or the rule that kept it from being asked for.

    `index` counts the inputs from 0. `reason` is a rule's name where the item was skipped (`robots`, `scope`,
    `trap:repeated-segment`), and an error's family where it failed (`dns`, `timeout`, `tls`, `5xx`). `preferences`
    are what the site wishes for (robots.txt's Content-Usage and Content-Signal, X-Robots-Tag, meta robots), by the
    name of the field; `fields` are what was extracted. `change` is told in rounds (`since_last`): what was never there,
    and is not, has none, nor has what failed. `validators` are what a state keeps, for the next round to ask by.
    A body that was too large for memory is `saved`, and the response has none.
    """

    index: int
    item: Item
    verdict: Verdict
    response: Response | None = None
    error: BaseException | None = None
    reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    redirects: tuple[str, ...] = ()
    preferences: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    change: Change | None = None
    validators: Validators | None = None
    saved: Saved | None = None

    @property
    def url(self) -> str:
        """The URL as it was given."""
        return self.item.url

    @property
    def size(self) -> int:
        """How many bytes the body has, wherever it is."""
        if self.saved is not None:
            return self.saved.size
        return 0 if self.response is None else len(self.response.content)

    @property
    def is_unchanged(self) -> bool:
        """Whether the site has said that nothing has changed since the last round: there is no body, and no field."""
        return self.change == "same" and self.response is not None and self.response.status_code == 304

    @property
    def ok(self) -> bool:
        """Whether there is an answer with a status below 400."""
        return self.response is not None and self.response.ok
