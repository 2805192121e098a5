"""Requests one a line: read in bounded memory, checked as they come, kept in a file until all of them are good."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from tempfile import TemporaryFile
from typing import IO

from pydantic import ValidationError

from .bodies import check_json
from .policy import Refused
from .problems import Problem, errors_of
from .records import NewRequest
from .settings import ServiceSettings
from .submitted import OneRequest, RequestIn, new_request

__all__ = ["Batch"]

_AT_ONCE = 500  # requests that are handed on together
_SPACE = b" \t\r"


class Batch:
    """Take lines, then give out requests, 500 at a time. A context manager: its file goes with it."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115  closed at the end of the block
        self._digest = hashlib.sha256()
        self._rest = b""
        self._line = 0
        self._size = 0
        self.total: int = 0

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()

    @property
    def digest(self) -> str:
        """A fingerprint of all that came."""
        return self._digest.hexdigest()

    async def take(self, chunks: AsyncIterator[bytes]) -> None:
        """Read all lines; raises a Problem that names the first bad one."""
        async for chunk in chunks:
            if chunk:
                await asyncio.to_thread(self._take, chunk)
        await asyncio.to_thread(self._finish)

    def requests(self) -> Iterator[list[NewRequest]]:
        """Yield the requests, some at a time."""
        self._file.seek(0)
        found = []
        for line in self._file:
            url, host, ref, spec = json.loads(line)
            found.append(NewRequest(url=url, host=host, ref=ref, spec=spec))
            if len(found) == _AT_ONCE:
                yield found
                found = []
        if found:
            yield found

    def _take(self, chunk: bytes) -> None:
        limits = self._settings.limits
        self._size += len(chunk)
        if self._size > limits.batch_body:
            raise Problem(413, f"more than {limits.batch_body} bytes; send several jobs")
        self._digest.update(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._add(line)
        if len(self._rest) > limits.line:
            raise self._problem(413, f"longer than {limits.line} bytes")

    def _finish(self) -> None:
        self._add(self._rest)
        if not self.total:
            raise Problem(422, "no line has a request", errors=[{"pointer": "", "detail": "no request"}])
        self._file.flush()

    def _add(self, line: bytes) -> None:
        self._line += 1
        line = line.strip(_SPACE)
        if not line:
            return
        if len(line) > self._settings.limits.line:
            raise self._problem(413, f"longer than {self._settings.limits.line} bytes")
        self.total += 1
        if self.total > self._settings.limits.requests:
            raise self._problem(413, f"more than {self._settings.limits.requests} requests; send several jobs")
        found = self._parsed(line)
        row = json.dumps([found.url, found.host, found.ref, dict(found.spec)], separators=(",", ":"))
        self._file.write(row.encode() + b"\n")

    def _parsed(self, line: bytes) -> NewRequest:
        """Return the request of a line; raises a Problem with its number."""
        try:
            if line[:1] == b"{":
                check_json(line)
            given: str | RequestIn = OneRequest.validate_json(line)
            return new_request(given, self._settings)
        except ValidationError as exc:
            if exc.errors()[0]["type"] == "json_invalid":
                raise self._problem(400, "no JSON") from None
            errors = [{"line": self._line, **each} for each in errors_of(exc)]
            raise self._problem(422, str(errors[0]["detail"]), errors) from None
        except Problem as exc:
            raise self._problem(exc.status, exc.detail) from None
        except Refused as exc:
            raise self._problem(403, str(exc), [{"line": self._line, "pointer": "/url", "detail": str(exc)}]) from None
        except ValueError as exc:
            raise self._problem(422, str(exc), [{"line": self._line, "pointer": "/url", "detail": str(exc)}]) from None

    def _problem(self, status: int, text: str, errors: list[dict[str, object]] | None = None) -> Problem:
        return Problem(status, f"line {self._line}: {text}", errors=errors or [{"line": self._line, "detail": text}])
