"""Downloads: bodies that go to a file as they come, so that a large one takes no memory, and can be gone on with."""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from ..caller.client import Client
from ..caller.streaming import StreamedResponse
from ..errors import BodyTooLarge, ConnectionLost, ReadTimeout
from ..handover.job import Job
from ..messages.request import Request
from ..messages.response import Response
from ..settings import Timeout
from .entry import Entry
from .outcome import Saved
from .parts import Note, Part, part_name
from .validators import asks_plainly

__all__ = ["Download", "Downloaded", "Downloads"]

_LARGE_HOSTS = 1000  # that are remembered
_LEAST = 1024  # bytes a second, below which a download counts as silent
_CLOSING = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Downloaded:
    """An answer, with its body if that is small; what is large is `saved`. `stale`: the part was of another file."""

    response: Response
    saved: Saved | None = None
    stale: bool = False


class Download(Future[Downloaded]):
    """A Future of one download; `cancel()` stops it, and leaves its part to be gone on with."""

    def __init__(self, job: Job[StreamedResponse], part: Part | None) -> None:
        super().__init__()
        self.job = job
        self.part = part

    def running(self) -> bool:
        """Whether a worker is at it."""
        return not self.done() and (self.job.running() or self.job.done())


class Downloads:
    """Read bodies on a loop of their own thread. `begin` is for one thread, the run's; `close` ends it.

    A body up to `held` bytes stays in memory. A larger one goes to `folder`, with what the server gave to tell its file
    from another: where the connection is lost, or the run, the next request asks for the rest, if it is the same still.
    That a body is large is told by its head, so the first one of a host is given up there, and asked for once more;
    while those of a host are large they are downloads from the beginning.
    The `timeout` of a lane bounds each pause of a download, not the whole; less than 1 KiB a second is a pause.
    """

    def __init__(self, folder: Path, *, held: int, digests: bool = False, largest: int | None = None) -> None:
        self._folder = folder
        self._held = held
        self._left = {path.name for path in folder.glob("*.part")}  # by earlier runs
        self._large_hosts: set[str] = set()
        self._digests = digests
        self._largest = largest
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def wants(self, entry: Entry) -> bool:
        """Whether an item is to be a download: its body is large, or was when it was cut, or its host's are."""
        if not asks_plainly(entry.item):
            return False
        return (
            entry.is_large
            or entry.host in self._large_hosts
            or bool(self._left and part_name(entry.given.url) in self._left)
        )

    def limit(self, client: Client) -> int:
        """Return how large the body of a plain request may be."""
        return min(client.lane_settings.max_body, self._held, self._largest or self._held)

    def takes(self, entry: Entry, answer: object) -> bool:
        """Whether an error says no more than that the body is for a file; it is asked for as such then."""
        if not isinstance(answer, BodyTooLarge) or entry.is_large or not asks_plainly(entry.item):
            return False
        return self._largest is None or self._largest > self._held

    def note_size(self, entry: Entry, *, is_large: bool) -> None:
        """Note whether the last body of a host was large."""
        entry.is_large |= is_large
        if not is_large:
            self._large_hosts.discard(entry.host)
        elif len(self._large_hosts) < _LARGE_HOSTS:
            self._large_hosts.add(entry.host)

    def begin(self, client: Client, request: Request, url: str, *, identity: bool) -> Download:
        """Hand a request over; `url` is what its part is known by, and `identity` has it not be packed."""
        loop = self._started()
        part = Part.open(self._folder, url, anew=False)
        extra = part.headers() if part is not None else (("Accept-Encoding", "identity"),) if identity else ()
        for name, value in extra:
            request = request.with_header(name, value)
        try:
            download = Download(client.submit(request, stream=True), part)
        except BaseException:
            if part is not None:
                part.leave()
            raise
        patience = client.lane_settings.timeout.total
        asyncio.run_coroutine_threadsafe(self._run(download, url, patience), loop)
        return download

    @staticmethod
    def timeout(client: Client) -> Timeout:
        """Return the limits of a download: no pause is longer than a whole request of the lane may be."""
        limits = client.lane_settings.timeout
        return Timeout(total=None, connect=limits.connect or limits.total, read=limits.read or limits.total)

    def close(self) -> None:
        """Stop what is under way, and end the thread. Repeatable."""
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSING)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="workerpool-downloads", daemon=True)
            self._thread.start()
        return self._loop

    async def _run(self, download: Download, url: str, patience: float | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        download.add_done_callback(partial(_stop_cancelled, loop, task))
        found: Any = None
        try:
            found = await self._downloaded(download, url, patience)
        except asyncio.CancelledError:
            download.cancel()
            return
        except BaseException as exc:  # noqa: BLE001  whoever waits is told
            found = exc
        finally:
            if download.part is not None and (download.cancelled() or not isinstance(found, Downloaded)):
                download.part.leave()
        if not download.set_running_or_notify_cancel():
            if download.part is not None:
                download.part.leave()
            return
        if isinstance(found, Downloaded):
            download.set_result(found)
        else:
            download.set_exception(found)

    async def _downloaded(self, download: Download, url: str, patience: float | None) -> Downloaded:
        stream = await download.job
        async with stream:
            part, status = download.part, stream.status_code
            if part is not None and status == 206:
                return await self._rest(stream, part, patience)
            if part is not None and status in (404, 410, 416):
                part.drop()
                return Downloaded(_answer(stream, await self._small(stream)), stale=status == 416)
            if status == 200:
                return await self._whole(stream, download, url, patience)
            if part is not None:
                part.leave()
            return Downloaded(_answer(stream, await self._small(stream)))

    async def _rest(self, stream: StreamedResponse, part: Part, patience: float | None) -> Downloaded:
        assert part.note is not None
        if not part.note.fits(part.size - 1, stream.url, stream.headers):
            part.drop()
            return Downloaded(_answer(stream, b""), stale=True)
        last = part.go_on()
        pace = _Pace(stream, patience)
        async for chunk in stream.aiter_bytes():
            if last and chunk[:1] != last:
                part.drop()
                return Downloaded(_answer(stream, b""), stale=True)
            last = b""
            self._put(stream, part, chunk, pace)
        return await self._finished(stream, part)

    async def _whole(
        self, stream: StreamedResponse, download: Download, url: str, patience: float | None
    ) -> Downloaded:
        begun, held = False, bytearray()
        pace = _Pace(stream, patience)
        async for chunk in stream.aiter_bytes():
            if not begun:
                held += chunk
                if len(held) <= self._held:
                    continue
                chunk, begun = bytes(held), True
                download.part = download.part or Part.open(self._folder, url, anew=True)
                assert download.part is not None
                download.part.begin(Note.of(url, stream.url, stream.headers))
            assert download.part is not None
            self._put(stream, download.part, chunk, pace)
        if begun:
            assert download.part is not None
            return await self._finished(stream, download.part)
        if download.part is not None:
            download.part.drop()
        return Downloaded(_answer(stream, bytes(held)))

    def _put(self, stream: StreamedResponse, part: Part, chunk: bytes, pace: "_Pace") -> None:
        part.write(chunk)
        pace.count(len(chunk))
        if self._largest is not None and part.size > self._largest:
            part.drop()
            raise BodyTooLarge(
                f"the file is larger than {self._largest} bytes, the most that is allowed", url=stream.url, stage="body"
            )

    async def _small(self, stream: StreamedResponse) -> bytes:
        """Return the body of an answer that is no file: an error's page, and no more of it than is held."""
        held = bytearray()
        async for chunk in stream.aiter_bytes():
            held += chunk
            if len(held) > self._held:
                text = f"the body of a {stream.status_code} is larger than {self._held} bytes"
                raise BodyTooLarge(text, url=stream.url, stage="body")
        return bytes(held)

    async def _finished(self, stream: StreamedResponse, part: Part) -> Downloaded:
        total = None if part.note is None else part.note.total
        if total is not None and part.size < total:
            raise ConnectionLost(f"{part.size} of {total} bytes came", url=stream.url, stage="body")
        if total is not None and part.size > total:
            part.drop()
            return Downloaded(_answer(stream, b""), stale=True)
        digest = await asyncio.to_thread(part.digest) if self._digests else None
        return Downloaded(_answer(stream, b""), Saved(part, part.size, digest))


class _Pace:
    """See to it that a download does not trickle for ever."""

    def __init__(self, stream: StreamedResponse, patience: float | None) -> None:
        self._url = stream.url
        self._patience = patience
        self._since, self._came = monotonic(), 0

    def count(self, size: int) -> None:
        """Count what has come; raises ReadTimeout where that is next to nothing."""
        self._came += size
        past = monotonic() - self._since
        if self._patience is None or past < self._patience:
            return
        if self._came < _LEAST * past:
            text = f"{self._came} bytes came in {past:.0f} s, which is as good as nothing"
            raise ReadTimeout(text, url=self._url, stage="body")
        self._since, self._came = monotonic(), 0


def _answer(stream: StreamedResponse, content: bytes) -> Response:
    return Response(
        stream.request, stream.url, stream.status_code, stream.reason, stream.headers, content, stream.http_version,
        stream.elapsed, stream.attempts, stream.history,
    )  # fmt: skip


def _stop_cancelled(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]", download: Future[Downloaded]) -> None:
    if download.cancelled() and not loop.is_closed():
        loop.call_soon_threadsafe(task.cancel)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.get_loop().run_forever()
