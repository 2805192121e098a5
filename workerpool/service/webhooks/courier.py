"""The courier: sends webhooks' messages that are due, a bounded number at a time, beside all that is fetched.

A message is taken from the store for a time, with its try in its log; what came of it is noted then. Whoever is killed
between the two leaves a message that is sent again: at least once, by the same id.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from time import monotonic, time
from typing import Any

from yarl import URL

from ...caller.pool import WorkerPool
from ...errors import Forbidden, InvalidRequest, WorkerPoolError
from ...scraping.entry import host_of
from ..errors import NoSuch, ServiceError
from ..policy import is_own, refusal_of
from ..records import Delivery
from ..settings import ServiceSettings
from ..store import Store
from .keyring import Keyring
from .message import TIMEOUT, request_of, verdict_of

__all__ = ["Courier"]

log: logging.Logger = logging.getLogger("workerpool.service")

_AT_ONCE = 64
_OF_A_HOST = 8  # so that a slow receiver holds up nobody else
_LOOK = 0.25  # seconds between two looks at what is due
_PAUSE = 1.0  # seconds after a store that was down
_LEASE = 1.5 * TIMEOUT  # after which others send what a process had that is no more
_ANSWER = 64 * 2**10  # bytes of an answer that are read
_HURRY = 2.0  # seconds that messages under way get at the end


class Courier:
    """Send what is due, until it is stopped. Of one loop."""

    def __init__(
        self,
        store: Store,
        pool: WorkerPool,
        settings: ServiceSettings,
        owner: str,
        hosts: Callable[[], Collection[str]],
    ) -> None:
        self._store, self._owner, self._hosts = store, owner, hosts
        self._lane = pool.like("default", connections=0, timeout=TIMEOUT, max_body=_ANSWER)
        self._rules, self._headers = settings.addresses, dict(settings.politeness.headers)
        self._keyring = Keyring(store)
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._main = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take nothing more; what is under way gets a moment, and is sent again after it."""
        self._main.cancel()
        await asyncio.wait((self._main,))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_HURRY)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._lane.close()

    async def _run(self) -> None:
        while True:
            try:
                taken = await self._take()
            except ServiceError as exc:
                log.warning("webhooks: %s", exc)
                await asyncio.sleep(_PAUSE)
            except Exception:
                log.exception("webhooks: a step has failed; it is tried again")
                await asyncio.sleep(_PAUSE)
            else:
                await self._rest(taken)

    async def _take(self) -> int:
        """Take what is due, as far as there is room, and have it sent."""
        room = _AT_ONCE - len(self._tasks)
        if room <= 0:
            return 0
        full = [host for host, number in self._under_way.items() if number >= _OF_A_HOST]
        found = await self._store.due_deliveries(
            self._owner, room, now=time(), seconds=_LEASE, of_a_host=_OF_A_HOST, without=full
        )
        for each in found:
            self._begin(each)
        return len(found)

    async def _rest(self, taken: int) -> None:
        """Wait for room where there is none, for a while where nothing was due."""
        self._room.clear()
        if not taken or len(self._tasks) >= _AT_ONCE:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._room.wait()

    def _begin(self, delivery: Delivery) -> None:
        host = host_of(URL(delivery.url))
        self._under_way[host] += 1
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)

        def end(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]
            self._room.set()

        task.add_done_callback(end)

    async def _deliver(self, delivery: Delivery) -> None:
        """Try a message once, and note what came of it."""
        began = monotonic()
        tried: dict[str, Any] = {"at": delivery.tries[-1]["at"], "status": None, "error": None}
        try:
            state, due_at = await self._try(delivery, tried)
            tried["elapsed"] = round(monotonic() - began, 3)
            await self._store.note_delivery(delivery.id, self._owner, tried, state=state, due_at=due_at)
        except NoSuch:
            return  # its job was deleted, or others have it: it was out of our hands for too long
        except ServiceError as exc:
            log.warning("webhooks: what came of %s is not stored, so that it is sent again: %s", delivery.id, exc)
        except Exception:
            log.exception("webhooks: %s has failed; it is sent again", delivery.id)

    async def _try(self, delivery: Delivery, tried: dict[str, Any]) -> tuple[str, float | None]:
        url = URL(delivery.url)
        if (rule := self._refused(url)) is not None:
            tried["error"] = rule
            return "failed", None
        secrets = await self._keyring.secrets()
        try:
            status, headers = await self._send(request_of(delivery, secrets, time(), self._headers))
        except Forbidden as exc:
            tried["error"] = f"Forbidden: rule '{exc.rule}'"
            return "failed", None
        except (WorkerPoolError, InvalidRequest) as exc:
            tried["error"] = f"{type(exc).__name__}: {exc}"[:500]
            return verdict_of(delivery, time(), None, None)
        tried["status"] = status
        return verdict_of(delivery, time(), status, headers.get("Retry-After"))

    def _refused(self, url: URL) -> str | None:
        if is_own(url, self._hosts()):
            return "Forbidden: rule 'own', it is the service itself"
        verdict = refusal_of(url, self._rules)
        return None if verdict is None else f"Forbidden: rule '{verdict.rule}'"

    async def _send(self, request: Any) -> tuple[int, Mapping[str, str]]:
        """Send, and return status and headers: what else the answer says does not matter, so it is not waited for."""
        job = self._lane.submit(request, stream=True)
        answer = await asyncio.wrap_future(job)
        try:
            return answer.status_code, answer.headers
        finally:
            answer.close()
