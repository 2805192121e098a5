"""What the service does for itself: stalled leases, due and expired jobs, retention."""

import asyncio
import logging
from time import time

from .errors import ServiceError
from .settings import ServiceSettings
from .store import Store

__all__ = ["keep_up"]

log: logging.Logger = logging.getLogger("workerpool.service")

_TEND = 0.5  # seconds
_SWEEP = 60.0


async def keep_up(store: Store, settings: ServiceSettings) -> None:
    """Look after the store, until cancelled."""
    swept = 0.0
    while True:
        try:
            tended = await store.tend(time())
            if tended.rescued:
                log.warning("%s requests were held by nobody any more; they are given out again", tended.rescued)
            if time() - swept > _SWEEP:
                swept = time()
                removed = await store.sweep(settings.retention, swept)
                if removed:
                    log.info("%s jobs were removed: they need not be kept any longer", removed)
        except ServiceError as exc:
            log.warning("%s", exc)
        except Exception:
            log.exception("looking after %s has failed; it is tried again", store.name)
        await asyncio.sleep(_TEND)
