"""The gate: whether an item may be asked for at all, by its site's robots.txt and by what is respected of its wishes."""

from collections import OrderedDict
from time import time

from ..errors import WorkerPoolError
from ..messages.request import Request
from ..messages.response import Response
from .entry import Entry
from .hosts import Politeness
from .preferences import preferences_of, refuses
from .robots import RobotsRules

__all__ = ["Gate"]

_KNOWN = 20_000  # origins whose rules are kept
_MOST_REDIRECTS = 5  # RFC 9309, 2.3.1.2
_MOST_BYTES = 64 * 2**20  # unpacked; of these 500 KiB count
_PATIENCE = 30.0  # seconds that a robots.txt may take


class Gate:
    """Judge entries by the rules of their origins, and say whose robots.txt is to be asked for. Of the run's thread only.

    What waits for rules is held here, in its order.
    """

    def __init__(self, politeness: Politeness) -> None:
        self._politeness = politeness
        self._rules: OrderedDict[str, RobotsRules] = OrderedDict()
        self._waiting: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        """How many entries wait for rules."""
        return sum(map(len, self._waiting.values()))

    def lets(self, entry: Entry) -> bool:
        """Whether the rules of the entry's origin are known, or need not be."""
        if not self._politeness.robots or entry.problem:
            return True
        rules = self._rules.get(entry.origin)
        return rules is not None and rules.expires_at > time()

    def reason(self, entry: Entry) -> str | None:
        """Return the rule by which the entry may not be asked for, or None. Its origin's rules are known."""
        rules = self._rules.get(entry.origin)
        if rules is None or not self._politeness.robots:
            return None
        if not rules.allows(entry.item.url, self._politeness.agent):
            return "robots"
        if not self._politeness.respect:
            return None
        return refuses(preferences_of(None, rules, entry.item.url, self._politeness.agent), self._politeness.respect)

    def hold(self, entry: Entry) -> Request | None:
        """Keep the entry until its rules are there; return the request for them where none is under way."""
        waiting = self._waiting.setdefault(entry.origin, [])
        waiting.append(entry)
        if len(waiting) > 1:
            return None
        return Request(
            f"{entry.origin}/robots.txt", headers=self._politeness.headers, timeout=_PATIENCE, max_body=_MOST_BYTES
        )

    def open(self, origin: str, answer: Response | WorkerPoolError) -> tuple[list[Entry], float | None]:
        """Take the answer for an origin's robots.txt; return what has waited for it, and the pace that it asks for."""
        if isinstance(answer, Response):
            too_far = len(answer.history) > _MOST_REDIRECTS
            status = 404 if too_far or answer.is_redirect else answer.status_code
            rules = RobotsRules.from_answer(status, answer.headers, answer.content)
        else:
            rules = RobotsRules.unreachable(answer)
        self._rules[origin] = rules
        self._rules.move_to_end(origin)
        if len(self._rules) > _KNOWN:
            self._rules.popitem(last=False)
        return self._waiting.pop(origin, []), rules.delay(self._politeness.agent)

    def preferences(self, entry: Entry, answer: Response) -> dict[str, str]:
        """Return what the site wishes for, as far as its robots.txt and the answer tell."""
        rules = self._rules.get(entry.origin)
        return dict(preferences_of(answer, rules, entry.item.url, self._politeness.agent))
