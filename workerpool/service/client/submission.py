"""A job as it is sent: its fields checked, its requests written one a line, in memory or, if many, in a file."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import IO, Any
from uuid import uuid4

from ...messages.request import Request
from .calls import Call
from .checks import (
    checked_flag,
    checked_labels,
    checked_moment,
    checked_name,
    checked_number,
    checked_seconds,
    checked_text,
    checked_whole,
    joined,
)
from .errors import BadArgument, BadSubmission

__all__ = ["Fields", "MOST", "checked_fields", "submission"]

MOST = 100_000  # requests of one job
_FEW, _SMALL = 500, 2**20  # requests, and bytes of them, that are sent as one document
_NAMES = ("url", "method", "headers", "params", "json", "data", "data_base64", "timeout", "max_body", "ref")
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Submission:
    """What is sent, and how many requests are in it."""

    call: Call
    total: int


def checked_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's fields as the wire has them; those that are None are left out. Raises BadSubmission."""
    try:
        return {name: _CHECKS[name](name, value) for name, value in given.items() if value is not None}
    except BadArgument as exc:
        raise BadSubmission(str(exc), errors=exc.errors) from None


@contextmanager
def submission(requests: Any, fields: Fields, key: str | None) -> Iterator[Submission]:
    """Give what is to be sent; all requests are read and checked by then. Raises BadSubmission."""
    try:
        headers = {"Idempotency-Key": str(uuid4()) if key is None else _checked_key(key)}
    except BadArgument as exc:
        raise BadSubmission(str(exc), errors=exc.errors) from None
    lines = _Lines()
    try:
        for number, each in enumerate(_each(requests)):
            if number == MOST:
                raise BadSubmission(f"requests must be at most {MOST} for one job; map() makes several of more")
            lines.add(_line(each, number))
        if not lines.total:
            raise BadSubmission("requests must be at least one", errors=[{"pointer": "/requests", "detail": "empty"}])
        yield Submission(lines.call(fields, headers), lines.total)
    finally:
        lines.close()


class _Lines:
    """Hold few lines in memory, and many in a file, which each try opens anew."""

    def __init__(self) -> None:
        self.total = 0
        self._held: list[bytes] = []
        self._size = 0
        self._file: IO[bytes] | None = None

    def add(self, line: bytes) -> None:
        """Take the next one."""
        self.total += 1
        if self._file is None:
            self._held.append(line)
            self._size += len(line)
            if len(self._held) <= _FEW and (self._size <= _SMALL or len(self._held) == 1):
                return
            self._file = NamedTemporaryFile(prefix="workerpool-submit-")  # noqa: SIM115  `close` ends it
            line = b"\n".join(self._held)
            self._held.clear()
        self._file.write(line + b"\n")

    def call(self, fields: Fields, headers: Mapping[str, str]) -> Call:
        """Return the call that sends them."""
        if self._file is None:
            text = json.dumps(fields).encode()[1:-1]
            body = b'{"requests": [' + b", ".join(self._held) + b"]" + (b", " + text if text else b"") + b"}"
            return _call((), lambda: body, {"Content-Type": "application/json", **headers}, 0.0)
        self._file.flush()
        name, kind = self._file.name, {"Content-Type": "application/x-ndjson"}
        return _call(_query(fields), lambda: open(name, "rb"), {**kind, **headers}, self.total / 1000)

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()


def _call(
    params: tuple[tuple[str, str], ...], make_body: Callable[[], Any], headers: Mapping[str, str], wait: float
) -> Call:
    return Call("POST", "/v1/jobs", params, make_body, headers, wait, submits=True)


def _query(fields: Fields) -> tuple[tuple[str, str], ...]:
    """Return the fields as parameters, as a submission by lines has them."""
    names = ("id", "lane", "priority", "not_before", "expires_in", "keep_bodies")
    found = [(name, fields.get(name)) for name in names]
    found += [("label", f"{name}:{value}") for name, value in fields.get("labels", {}).items()]
    found += [("attempts", fields["retry"]["attempts"])] if "retry" in fields else []
    found += [("webhook_url", fields["webhook"]["url"])] if "webhook" in fields else []
    return joined(found)


def _each(requests: Any) -> Iterable[Any]:
    if isinstance(requests, str | Request | Mapping):
        return (requests,)
    if isinstance(requests, bytes | bytearray) or not isinstance(requests, Iterable):
        detail = f"must be URLs, Requests or dicts, or an iterable of these, not {type(requests).__name__}"
        raise BadSubmission(f"requests {detail}", errors=[{"pointer": "/requests", "detail": detail}])
    return requests


def _line(given: Any, number: int) -> bytes:
    """Return a request as one line of JSON; raises BadSubmission with its number."""
    try:
        found = _of_request(given) if isinstance(given, Request) else _of_mapping(given)
        return json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
    except BadArgument as exc:
        place, detail = exc.errors[0]["pointer"], exc.errors[0]["detail"]
        text = f"requests[{number}]: {exc}"
    except (TypeError, ValueError, RecursionError) as exc:
        place, detail = "/json", f"is no JSON: {exc}"
        text = f"requests[{number}]: json {detail}"
    raise BadSubmission(text, errors=[{"pointer": f"/requests/{number}{place}", "detail": detail}])


def _of_mapping(given: Any) -> Any:
    if isinstance(given, str):
        return checked_text("url", given, 16_384)
    if not isinstance(given, Mapping):
        raise _wrong("url", f"must be a str, a Request or a dict, not {type(given).__name__}")
    if unknown := [name for name in given if name not in _NAMES]:
        raise _wrong(str(unknown[0])[:64], f"is unknown; a request has {', '.join(_NAMES)}")
    if "url" not in given:
        raise _wrong("url", "is missing")
    found = {name: value for name, value in given.items() if value is not None}
    if isinstance(found.get("data"), bytes | bytearray):
        found |= _data(bytes(found.pop("data")))
    for name, value in found.items():
        if name in _OF_A_REQUEST:
            _OF_A_REQUEST[name](name, value)
    return found


def _of_request(given: Request) -> dict[str, Any]:
    """Return a Request as the wire has it; what the wire does not have is refused."""
    if not given.target.absolute:
        raise _wrong("url", "must be absolute")
    for name, is_set in (
        ("allow_redirects", not given.allow_redirects), ("retry", given.retry is not ...), ("as_is", given.as_is),
        ("priority", given.priority != 0), ("meta", given.meta is not None),
    ):  # fmt: skip
        if is_set:
            raise _wrong(name, f"of a Request is not sent to a service; {_INSTEAD.get(name, 'leave it out')}")
    found: dict[str, Any] = {"url": str(given.target), "method": given.method}
    if given.headers:
        found["headers"] = _joined_headers(given.headers)
    if given.body is not None:
        if not isinstance(given.body, bytes):
            raise _wrong("data", "of a Request must be bytes or text here: a file or an iterator is not stored")
        found |= _data(given.body)
    if given.timeout is not None:
        if (
            given.timeout.total is None
            or (given.timeout.connect, given.timeout.read, given.timeout.queue) != (None,) * 3
        ):
            raise _wrong("timeout", "of a Request must be a total alone")
        found["timeout"] = given.timeout.total
    if given.max_body is not None:
        found["max_body"] = given.max_body
    return found


_INSTEAD = {
    "retry": "give retry= to submit()", "priority": "give priority= to submit()",
    "meta": "give a dict with ref, a text that comes back with the result",
}  # fmt: skip


def _joined_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, tuple[str, str]] = {}
    for name, value in pairs:
        key = name.lower()
        before = found.get(key)
        found[key] = (
            (name, value) if before is None else (before[0], f"{before[1]}{'; ' if key == 'cookie' else ', '}{value}")
        )
    return dict(found.values())


def _data(body: bytes) -> dict[str, str]:
    try:
        return {"data": body.decode()}
    except UnicodeDecodeError:
        return {"data_base64": b64encode(body).decode()}


def _wrong(name: str, detail: str) -> BadArgument:
    return BadArgument(f"{name} {detail}", errors=[{"pointer": f"/{name}", "detail": detail}])


def _checked_retry(name: str, value: object) -> dict[str, int]:
    if isinstance(value, Mapping):
        if value.keys() != {"attempts"}:
            raise _wrong(name, "must be a number of attempts, or {'attempts': number}")
        value = value["attempts"]
    return {"attempts": checked_whole(name, value, 1, 20)}


def _checked_webhook(name: str, value: object) -> dict[str, str]:
    if isinstance(value, Mapping):
        if value.keys() != {"url"}:
            raise _wrong(name, "must be a URL, or {'url': URL}")
        value = value["url"]
    return {"url": checked_text(name, value, 16_384)}


def _checked_mapping(name: str, value: object) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(name, f"must be a mapping, not {type(value).__name__}")
    if name == "headers" and not all(isinstance(each, str) for pair in value.items() for each in pair):
        raise _wrong(name, "must be a mapping of str to str")


def _checked_data(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise _wrong(name, f"must be a str or bytes, not {type(value).__name__}")


def _checked_key(key: object) -> str:
    found = checked_text("idempotency_key", key, 255)
    if not found.isascii() or not found.isprintable():
        raise _wrong("idempotency_key", "must be printable ASCII")
    return found


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "id": checked_name, "lane": checked_name, "labels": checked_labels, "not_before": checked_moment,
    "priority": lambda name, value: checked_whole(name, value, -1000, 1000), "expires_in": checked_seconds,
    "retry": _checked_retry, "webhook": _checked_webhook, "keep_bodies": checked_flag,
}  # fmt: skip
_OF_A_REQUEST: Mapping[str, Callable[[str, Any], Any]] = {
    "url": lambda name, value: checked_text(name, value, 16_384), "method": checked_text, "headers": _checked_mapping,
    "params": _checked_mapping, "data": _checked_data, "data_base64": _checked_data, "ref": checked_text,
    "timeout": checked_number, "max_body": lambda name, value: checked_whole(name, value, 1, 2**63),
}  # fmt: skip
