"""What callers give, checked where it is given: what cannot be is refused by the name of its argument."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from yarl import URL

from ...redaction import redact
from .errors import BadArgument
from .values import Job

__all__ = [
    "checked_flag",
    "checked_id",
    "checked_labels",
    "checked_moment",
    "checked_name",
    "checked_number",
    "checked_seconds",
    "checked_text",
    "checked_token",
    "checked_url",
    "checked_whole",
    "wrong",
]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def wrong(name: str, detail: str) -> BadArgument:
    """Return the error that names an argument."""
    return BadArgument(f"{name} {detail}", errors=[{"pointer": f"/{name}", "detail": detail}])


def checked_url(url: object) -> str:
    """Return the service's URL, without a slash at its end."""
    if isinstance(url, URL):
        url = str(url)
    if not isinstance(url, str):
        raise wrong("url", f"must be a str such as 'http://127.0.0.1:8765', not {type(url).__name__}")
    try:
        found = URL("" if re.search(r"\s", url) else url)
        is_one = found.scheme in ("http", "https") and bool(found.raw_host) and found.port is not None
    except (ValueError, IndexError):  # yarl has both for what it cannot read
        is_one = False
    if not is_one:
        raise wrong("url", f"must begin with http:// or https:// and name a host, as {redact(url)[:200]!r} does not")
    if found.raw_user is not None or found.raw_password is not None:
        raise wrong("url", "must hold no user and no password; a token goes into token=")
    if found.raw_query_string or found.raw_fragment:
        raise wrong("url", "is the service's root, and has neither a query nor a fragment")
    return str(found).rstrip("/")


def checked_token(token: object) -> str | None:
    """Return the token; what is wrong with one is told without it."""
    if token is None:
        return None
    if not isinstance(token, str):
        raise wrong("token", f"must be a str or None, not {type(token).__name__}")
    if not _TOKEN.fullmatch(token):
        raise wrong("token", "is none: it has letters, digits and - . _ ~ + / only, and no line end; is it empty?")
    return token


def checked_id(job: object, name: str = "job") -> str:
    """Return a job's id, given itself or a Job."""
    if isinstance(job, Job):
        return job.id
    return checked_name(name, job, also=" or a Job" if name == "job" else "")


def checked_name(name: str, value: object, also: str = "") -> str:
    """Return an id or the name of a lane."""
    if not isinstance(value, str):
        raise wrong(name, f"must be a str{also}, not {type(value).__name__}")
    if not _NAME.fullmatch(value):
        raise wrong(name, "must be 1 to 64 of A-Z a-z 0-9 _ -")
    return value


def checked_text(name: str, value: object, most: int = 1024) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise wrong(name, f"must be a str, not {type(value).__name__}")
    if not value or len(value) > most:
        raise wrong(name, f"must have 1 to {most} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong(name, "holds half of a surrogate pair, which is no text") from None
    return value


def checked_whole(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(name, f"must be a whole number, not {type(value).__name__}")
    if not least <= value <= most:
        raise wrong(name, f"must be {least} to {most}, not {value if abs(value) < 10**20 else 'that large'}")
    return value


def checked_number(name: str, value: object) -> float:
    """Return a number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(name, f"must be a number, not {type(value).__name__}")
    try:
        found = float(value)
    except OverflowError:
        found = float("inf")
    if not isfinite(found) or found <= 0:
        raise wrong(name, "must be a finite number above 0")
    return found


def checked_seconds(name: str, value: object) -> float:
    """Return a duration in seconds, given so or as a timedelta."""
    return checked_number(name, value.total_seconds() if isinstance(value, timedelta) else value)


def checked_flag(name: str, value: object) -> bool:
    """Return True or False, and nothing that only stands for one."""
    if not isinstance(value, bool):
        raise wrong(name, f"must be True or False, not {type(value).__name__}")
    return value


def checked_moment(name: str, value: object) -> str:
    """Return a moment as the wire has it, given as an aware datetime or a text of RFC 3339."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise wrong(name, "is no time of RFC 3339, such as 2026-12-01T08:00:00Z") from None
    if not isinstance(value, datetime):
        raise wrong(name, f"must be an aware datetime or a str, not {type(value).__name__}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise wrong(name, "must have a zone, such as datetime.now(UTC) has")
    try:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        raise wrong(name, "is beyond the calendar") from None


def checked_labels(name: str, value: object) -> dict[str, str]:
    """Return labels."""
    if not isinstance(value, Mapping):
        raise wrong(name, f"must be a mapping of str to str, not {type(value).__name__}")
    for key, each in value.items():
        if not isinstance(key, str) or not isinstance(each, str):
            raise wrong(name, "must be a mapping of str to str")
        if not key or ":" in key:
            raise wrong(name, "must have names that are not empty, without a colon")
    return dict(value)


def checked_jobs(name: str, value: object) -> dict[str, None]:
    """Return the ids of several jobs, each once, in their order."""
    if isinstance(value, str | bytes | Job) or not isinstance(value, Iterable):
        raise wrong(name, f"must be an iterable of ids or Jobs, not {type(value).__name__}")
    return dict.fromkeys(checked_id(each) for each in value)


def joined(pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return parameters of a query: those that are None are left out."""
    return tuple(
        (name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in pairs
        if value is not None
    )  # fmt: skip
