"""Sources of uploads, each asked and read away from the worker's loop: on a thread of its own, or on its own loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from ..bells import Ending, ThreadBell
from ..errors import InvalidRequest
from ..handover.channel import Chunks, Closed
from ..messages.body import Upload

__all__ = ["Feeder", "end_all"]

_PIECE = 2**16  # bytes read from a file at a time
_PATIENCE = 10.0  # seconds that whoever read the source before gets to end; a guess
_END = 0.8  # the same at the pool's end, less than the second that a session of a lost loop gets to close
_number = count(1)


async def _claim(upload: Upload) -> None:
    """Become the one who reads the source, when whoever read it before has ended; raises InvalidRequest."""
    end = monotonic() + _PATIENCE
    while (other := _taken(upload)) is not None:
        if not await other.await_(max(0.0, end - monotonic())):
            raise InvalidRequest(
                f"the body's source is still being read for another request, for {_PATIENCE:g} s now", stage="send"
            )


def _taken(upload: Upload) -> Ending | None:
    try:
        return upload.take()
    except ValueError as exc:
        raise InvalidRequest(str(exc), stage="send") from exc.__cause__


def _rewind(upload: Upload) -> None:
    try:
        upload.rewind()
    except ValueError as exc:
        raise InvalidRequest(str(exc), stage="send") from exc.__cause__


async def end_all(feeders: "set[Feeder]") -> None:
    """Stop every feeder and wait for it, within bounds: a source that blocks cannot be stopped."""
    end = monotonic() + _END
    for feeder in feeders.copy():
        feeder.stop()
    for feeder in feeders.copy():
        await feeder.ended.await_(max(0.0, end - monotonic()))


class Feeder:
    """Read the source of one upload into `chunks`, once; `feeders` holds it while it has the source."""

    def __init__(self, upload: Upload, feeders: "set[Feeder]") -> None:
        self.chunks: Chunks = Chunks()
        self.ended: Ending = Ending()
        self.begun: bool = False
        self.size: int | None = None  # bytes that an ordinary file has left; None (chunked) for anything else
        self._upload = upload
        self._feeders = feeders
        self._looked = Ending()  # at the source, by the thread
        self._go = ThreadBell()  # what the thread waits for then
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None  # the source's loop's only

    async def open(self) -> None:
        """Claim the source and have it at its beginning, with nothing read; raises InvalidRequest.

        On the worker's loop, once; `stop` is to follow whatever becomes of it.
        """
        await _claim(self._upload)
        self._feeders.add(self)
        if self._upload.loop is not None:
            return
        # A daemon, since a source that blocks for ever must not keep the process from ending.
        name = f"workerpool-upload-{next(_number)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        self._thread = thread
        await self._looked.await_()
        if self.chunks.error is not None:
            raise self.chunks.error from self.chunks.error.__cause__

    def start(self) -> None:
        """Begin to read. On the worker's loop, once."""
        self.begun = True
        self._upload.begin()
        if self._upload.loop is None:
            self._go.ring()
        elif not self._call_there(self._start_there):
            self.chunks.fail(InvalidRequest("the loop of the body's source is closed", stage="send"))

    def stop(self) -> None:
        """Let the source go as soon as it yields; an asynchronous one at once. From any thread, repeatable."""
        self.chunks.close()
        if self._thread is not None:
            self._go.ring()
        elif self.begun:
            self._call_there(self._stop_there)
        else:
            self._end()

    def _call_there(self, step: Callable[[], None]) -> bool:
        """Call back on the source's loop; if that is closed, this has ended, and False is returned."""
        assert self._upload.loop is not None
        try:
            self._upload.loop.call_soon_threadsafe(step)
        except RuntimeError:
            self._end()
            return False
        return True

    def _start_there(self) -> None:
        if self.chunks.is_over:  # stopped before
            self._end()
        else:
            self._task = asyncio.get_running_loop().create_task(self._afeed())
            self._task.add_done_callback(lambda _task: self._end())  # it may be cancelled before its first step

    def _stop_there(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        if self._look():
            self._feed()

    def _look(self) -> bool:
        """Go to the beginning of the source and measure it; then wait, and return whether it is to be read."""
        try:
            _rewind(self._upload)
            self.size = _size_left(self._upload.source)
        except BaseException as exc:  # noqa: BLE001  the user's own code, as below
            self._end()
            self.chunks.fail(_upload_error(exc))
            self._looked.note()
            return False
        self._looked.note()
        self._go.wait()
        if not self.begun:
            self._end()
        return self.begun

    def _feed(self) -> None:
        source: Any = self._upload.source
        try:
            for piece in _pieces(source):
                self.chunks.put(_as_bytes(piece))
        except Closed:
            if isinstance(source, Generator):
                with suppress(BaseException):  # nobody is left to be told
                    source.close()
            self._end()
        except BaseException as exc:  # noqa: BLE001  the user's own code: whatever it raises belongs to the caller
            self._end()
            self.chunks.fail(_upload_error(exc))
        else:
            self._end()  # before the answer can be there, after which the source may be used anew
            self.chunks.end()

    async def _afeed(self) -> None:
        pieces = aiter(self._upload.source)  # type: ignore[arg-type]
        try:
            async for piece in pieces:
                await self.chunks.aput(_as_bytes(piece))
        except Closed:
            self._end()
        except BaseException as exc:
            self._end()
            self.chunks.fail(_upload_error(exc))
            if not isinstance(exc, Exception):
                raise
        else:
            self._end()
            self.chunks.end()
        finally:
            await _aclose(pieces)

    def _end(self) -> None:
        if self in self._feeders:  # else it has no claim, or none any more
            self._upload.release()
            self._feeders.discard(self)
            self.ended.note()


async def _aclose(pieces: AsyncIterator[Any]) -> None:
    with suppress(Exception):  # nobody is left to be told
        if (close := getattr(pieces, "aclose", None)) is not None:
            await close()


def _size_left(source: Any) -> int | None:
    """Return how many bytes an ordinary file has left; None (chunked) for anything else."""
    try:
        if not source.seekable():
            return None
        here = source.tell()
        source.seek(0, 2)
        end = source.tell()
    except (AttributeError, OSError, ValueError):
        return None
    source.seek(here)
    return None if isinstance(source.read(0), str) else max(0, end - here)


def _upload_error(exc: BaseException) -> InvalidRequest:
    if isinstance(exc, InvalidRequest):
        return exc
    error = InvalidRequest(
        f"the body's source raised {type(exc).__name__}; the request was given up",
        stage="send",
    )
    error.__cause__ = exc
    return error


def _pieces(source: Any) -> Iterator[Any]:
    if hasattr(source, "read"):
        return _read(source)
    return iter(source)


def _read(source: Any) -> Iterator[Any]:
    while (piece := source.read(_PIECE)) or piece is None:
        if piece is None:  # the end of a body must not be made of this
            raise BlockingIOError("the file has nothing to read just now; open it to block")
        yield piece


def _as_bytes(piece: object) -> bytes:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, bytes | bytearray | memoryview):
        return bytes(piece)
    raise TypeError(f"a body's iterator must yield bytes, not {type(piece).__name__}")
