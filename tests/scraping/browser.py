"""A real browser, headless: opens a page from a file, tells what it said and asked for, and takes its picture."""

import asyncio
import base64
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

__all__ = ["CHROMIUM", "Seen", "opened"]

CHROMIUM = shutil.which("chromium")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-port=0",
)  # fmt: skip


@dataclass
class Seen:
    """What a page has done: what the console was told, what was asked for, and what a script has found in it."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    value: Any = None
    picture: bytes = b""


def opened(page: Path, *, width: int = 1280, dark: bool = False, script: str = "0", picture: bool = False) -> Seen:
    """Open a page, have a script look at it, and tell what was seen."""
    return asyncio.run(asyncio.wait_for(_opened(page, width, dark, script, picture), 60))


async def _opened(page: Path, width: int, dark: bool, script: str, picture: bool) -> Seen:
    async with _browser() as address, aiohttp.ClientSession() as session:
        async with session.ws_connect(address, max_msg_size=0) as socket:
            tab = _Tab(socket)
            await tab.attach()
            for domain in ("Page", "Network", "Runtime", "Log"):
                await tab.ask(f"{domain}.enable")
            size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
            await tab.ask("Emulation.setDeviceMetricsOverride", **size)
            scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            await tab.ask("Emulation.setEmulatedMedia", features=scheme)
            await tab.ask("Page.navigate", url=page.absolute().as_uri())
            await tab.until("Page.loadEventFired")
            found = await tab.ask("Runtime.evaluate", expression=script, returnByValue=True)
            tab.seen.value = found["result"].get("value")
            if picture:
                shot = await tab.ask("Page.captureScreenshot", captureBeyondViewport=True)
                tab.seen.picture = base64.b64decode(shot["data"])
            return tab.seen


class _Tab:
    """A page of the browser, by its debugging protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.seen = Seen()
        self._socket = socket
        self._numbers = count(1)
        self._session: dict[str, str] = {}
        self._events: list[str] = []

    async def attach(self) -> None:
        target = await self.ask("Target.createTarget", url="about:blank")
        found = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = {"sessionId": found["sessionId"]}

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params, **self._session})
        while (told := await self._next()).get("id") != number:
            continue
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def until(self, event: str) -> None:
        while event not in self._events:
            await self._next()

    async def _next(self) -> dict[str, Any]:
        told: dict[str, Any] = await self._socket.receive_json()
        name, params = told.get("method", ""), told.get("params", {})
        self._events.append(name)
        if name == "Network.requestWillBeSent":
            self.seen.requests.append(params["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.seen.errors.append(str(params["exceptionDetails"]))
        elif name == "Log.entryAdded" or (
            name == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning")
        ):
            self.seen.errors.append(str(params))
        return told


@asynccontextmanager
async def _browser() -> AsyncIterator[str]:
    assert CHROMIUM is not None
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield await _address(process)
        finally:
            process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise RuntimeError("the browser has ended")
