"""The gate: whether an item may be asked for at all, by its site's robots.txt and what is respected of its wishes."""

from collections import OrderedDict
from time import time

from ..errors import WorkerPoolError
from ..messages.request import Request
from ..messages.response import Response
from ..policies.robots import RobotsQuery, RobotsRules
from .entry import Entry
from .politeness import Politeness
from .preferences import preferences_of, refuses
from .telling import Telling

__all__ = ["Gate"]

_KNOWN = 20_000  # origins whose rules are kept
_MOST_BYTES = 64 * 2**20  # unpacked; of these 500 KiB count
_PATIENCE = 30.0  # seconds that a robots.txt may take


class Gate:
    """Judge entries by the rules of their origins, and say which robots.txt is to be asked for. Of the run's thread.

    What waits for rules is held here, in its order.
    """

    def __init__(self, politeness: Politeness, telling: Telling) -> None:
        self._politeness = politeness
        self._telling = telling
        self._agent = politeness.agent
        self._rules: OrderedDict[str, RobotsRules] = OrderedDict()
        self._queries: dict[str, RobotsQuery] = {}
        self._waiting: dict[str, list[Entry]] = {}

    def __len__(self) -> int:
        """How many entries wait for rules."""
        return sum(map(len, self._waiting.values()))

    def lets(self, entry: Entry) -> bool:
        """Whether the rules of the entry's origin are known, or need not be."""
        if not self._politeness.robots or entry.problem:
            return True
        rules = self._rules.get(entry.origin)
        return rules is not None and not rules.is_stale(time())

    def reason(self, entry: Entry) -> str | None:
        """Return the rule by which the entry may not be asked for, or None. Its origin's rules are known."""
        rules = self._rules.get(entry.origin)
        if rules is None:
            return None
        if not rules.allows(entry.item.url):
            return "robots" if rules.found == "parsed" else "robots-unreachable"
        return refuses(rules.preferences(entry.item.url), self._politeness.respect)

    def hold(self, entry: Entry) -> Request | None:
        """Keep the entry until its origin's rules are there; return the request for them where none is under way."""
        waiting = self._waiting.setdefault(entry.origin, [])
        waiting.append(entry)
        if len(waiting) > 1:
            return None
        query = self._queries[entry.origin] = RobotsQuery.of(entry.item.url)
        return self._request(query)

    def open(self, entry: Entry, answer: Response | WorkerPoolError) -> Request | list[Entry]:
        """Take the answer to the request for an entry's rules; return the next one, or else what has waited."""
        origin, previous = entry.origin, self._rules.get(entry.origin)
        if isinstance(answer, Response):
            following = self._queries[origin].after(answer.status_code, answer.headers)
            if following is not None:
                self._queries[origin] = following
                return self._request(following)
            rules = RobotsRules.from_response(
                answer.status_code, answer.headers, answer.content, agent=self._agent, now=time(), previous=previous
            )
        else:
            rules = RobotsRules.from_error(answer, now=time(), previous=previous)
        self._rules[origin] = rules
        self._rules.move_to_end(origin)
        if len(self._rules) > _KNOWN:
            self._rules.popitem(last=False)
        del self._queries[origin]
        return self._waiting.pop(origin)

    def delay(self, entry: Entry) -> float:
        """Return the seconds that the rules of an entry's origin want between two requests."""
        rules = self._rules.get(entry.origin)
        return 0.0 if rules is None else rules.delay

    def sitemaps(self, entry: Entry) -> tuple[str, ...]:
        """Return the sitemaps that the rules of an entry's origin name."""
        rules = self._rules.get(entry.origin)
        return () if rules is None else rules.sitemaps

    def preferences(self, entry: Entry, answer: Response) -> dict[str, str]:
        """Return what the site wishes for, as far as its robots.txt and the answer tell."""
        rules = self._rules.get(entry.origin)
        return preferences_of(entry.item.url, answer.headers, answer.content, agent=self._agent, rules=rules)

    def _request(self, query: RobotsQuery) -> Request:
        return Request(
            query.url, headers=self._telling.of_rules(query.url), timeout=_PATIENCE, max_body=_MOST_BYTES, retry=None,
            allow_redirects=False,
        )  # fmt: skip
