"""robots.txt for the requests of one lane on one worker: asked for once per origin, and kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from time import time

from yarl import URL

from ..errors import Facts, Forbidden
from ..handover.work import Verdict, Work
from ..messages.response import Response
from ..policies.robots import RobotsQuery, RobotsRules
from .struck import Struck

__all__ = ["Aside", "Robots"]

_PATIENCE = 30.0  # seconds that one answer may take
_KEPT = 10_000  # origins whose rules are kept; of more, those that were asked for last
_HTTP = {"ws": "http", "wss": "https"}


class Aside(Work):
    """Work of the transport's own, that nobody waits for and no rules are asked about."""

    def _tell(self, verdict: Verdict) -> None:
        """Tell nobody."""


class Robots:
    """Say whether a request may be sent, and forbid it else; used on its loop only.

    `ask` sends the request for a robots.txt; `agent` is the User-Agent whose name is looked for.
    """

    def __init__(self, agent: str, ask: Callable[[str], Awaitable[Response]]) -> None:
        self._agent, self._ask = agent, ask
        self._rules: OrderedDict[str, RobotsRules] = OrderedDict()
        self._asking: dict[str, asyncio.Task[RobotsRules]] = {}

    async def check(self, url: URL, facts: Callable[[URL], Facts]) -> tuple[bool, float]:
        """Return whether that took a wait, and the seconds from one request to the next; raises Forbidden."""
        if url.raw_path == "/robots.txt":
            return False, 0.0
        place = str(url if url.scheme not in _HTTP else url.with_scheme(_HTTP[url.scheme]))
        query = RobotsQuery.of(place)
        rules = self._rules.get(query.origin)
        if waits := rules is None or rules.is_stale(time()):
            try:
                rules = await asyncio.shield(self._asked(query, rules))
            except Forbidden as exc:  # by rules for addresses, which forbid this one, too
                text = f"its robots.txt may not be asked for: {exc}"
                raise Forbidden.by(exc.rule, facts(url), text, address=exc.address, stage="connect") from None
        assert rules is not None
        if not rules.allows(place):
            raise _forbidden(rules, query, place, facts(url))
        return waits, rules.delay

    async def close(self) -> None:
        """Ask no more. On the loop."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        if asking:
            await asyncio.wait(asking)

    def _asked(self, query: RobotsQuery, previous: RobotsRules | None) -> "asyncio.Task[RobotsRules]":
        """Return the one task that asks for them; whoever is given up while waiting leaves it to the others."""
        origin = query.origin
        if (task := self._asking.get(origin)) is None:
            # In a context of its own: it is nobody's request, and may outlive the one that it is first made for.
            task = asyncio.get_running_loop().create_task(self._fetch(query, previous), context=Context())
            self._asking[origin] = task
            task.add_done_callback(lambda done: self._keep(origin, done))
        return task

    def _keep(self, origin: str, done: "asyncio.Task[RobotsRules]") -> None:
        self._asking.pop(origin, None)
        if done.cancelled() or done.exception() is not None:
            return
        self._rules[origin] = done.result()
        self._rules.move_to_end(origin)
        if len(self._rules) > _KEPT:
            self._rules.popitem(last=False)

    async def _fetch(self, query: RobotsQuery, previous: RobotsRules | None) -> RobotsRules:
        """Ask, follow redirects, and return what comes of it; raises Forbidden where that may not be asked for."""
        try:
            while True:
                async with asyncio.timeout(_PATIENCE):
                    answer = await self._ask(query.url)
                following = query.after(answer.status_code, answer.headers)
                if following is None:
                    break
                query = following
        except (MemoryError, Struck):
            raise
        except Exception as exc:
            if isinstance(exc, Forbidden) and len(query.urls) == 1:
                raise
            return RobotsRules.from_error(exc, now=time(), previous=previous)
        return RobotsRules.from_response(
            answer.status_code, answer.headers, answer.content, agent=self._agent, now=time(), previous=previous
        )


def _forbidden(rules: RobotsRules, query: RobotsQuery, url: str, facts: Facts) -> Forbidden:
    rule = rules.rule_for(url) or rules.found
    if rules.found == "unreachable":
        text = f"robots.txt of {query.origin} could not be had ({rules.cause}), so nothing there may be asked for"
        return Forbidden.by(rule, facts, f"{text} (RFC 9309, 2.3.1.4); ask again later", stage="robots")
    text = f"robots.txt of {query.origin} forbids it by '{rule}'; ask for what it allows, or without robots=True"
    return Forbidden.by(rule, facts, text, stage="robots")
