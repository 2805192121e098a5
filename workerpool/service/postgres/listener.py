"""What other processes have stored, by PostgreSQL's notifications; they ring the bell here."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import psycopg
from procrastinate.manager import get_channel_for_queues

from ..bell import Bell
from .address import Address, meaning
from .link import Connection, close_quietly, connect
from .schema import QUEUE
from .tending import last_event
from .writer import CHANNEL

__all__ = ["listen"]

log: logging.Logger = logging.getLogger("workerpool.service")

_PAUSE = 0.2  # seconds before a broken connection is tried again
_ALIVE = 10.0  # seconds after which it is seen whether the connection is still there
_QUIET = 5.0  # seconds between two complaints


@dataclass(frozen=True, slots=True)
class _News:
    sequence: int
    work: bool
    withdrawn: tuple[str, ...] = ()


async def listen(address: Address, bell: Bell, turns: Callable[[], None]) -> None:
    """Ring the bell for what comes, and call `turns` when there may be new ones, until cancelled."""
    complained = -_QUIET
    while True:
        db = None
        try:
            db = await connect(address)
            await _listen(db, bell, turns)
        except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
            if monotonic() - complained > _QUIET:
                complained = monotonic()
                log.warning("%s: %s", address.name, meaning(exc))
        except Exception:
            log.exception("%s: listening has failed; it is tried again", address.name)
        finally:
            await close_quietly(db)
        await asyncio.sleep(_PAUSE)


async def _listen(db: Connection, bell: Bell, turns: Callable[[], None]) -> None:
    queues = list(get_channel_for_queues([QUEUE]))
    for channel in (CHANNEL, *queues):
        await db.execute(f'LISTEN "{channel}"'.encode())
    bell.ring(_News(await last_event(db), work=True))  # what came while nobody listened
    turns()
    while True:
        async for notification in db.notifies(timeout=_ALIVE):
            if notification.channel in queues:
                turns()
                continue
            news = json.loads(notification.payload)
            bell.ring(_News(news["sequence"], news["work"], tuple(news["gone"])))
            if news["work"]:
                turns()
        await db.execute(b"SELECT 1")
