"""A service in a thread of the tests' own process, so that a test may change what it goes by."""

import asyncio
import threading
from pathlib import Path
from typing import Any

from served import Served

from workerpool.service.access import tokens_of
from workerpool.service.policy import usual_rules
from workerpool.service.serving import serve
from workerpool.service.settings import ServiceSettings

__all__ = ["Inside"]


class Inside(Served):
    """A service that is called over HTTP like any other. A context manager."""

    def __init__(self, database: str, folder: Path, *, tokens: str = "", **settings: Any) -> None:
        super().__init__(database, folder)
        self._given = {"addresses": usual_rules(("127.0.0.0/8",)), "drain": 1.0, **settings}
        self._known_tokens = tokens_of(tokens)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="inside")
        self._failed: BaseException | None = None

    def __enter__(self) -> "Inside":
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self.http.close()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        settings = ServiceSettings(port=0, database=self.database, **self._given)
        self._task = asyncio.create_task(serve(settings, self._known_tokens, self._begun_at))
        try:
            await self._task
        except asyncio.CancelledError:
            pass
        except BaseException as exc:
            self._failed = exc
        finally:
            self._ready.set()

    def _begun_at(self, url: str) -> None:
        self.url = url
        self._ready.set()
