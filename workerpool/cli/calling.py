"""What the commands that call a job service share: where it is, the token, exit codes, what is shown."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..errors import WorkerPoolError
from ..scraping.sinks.text import defused
from ..service import BadArgument, Client, ServiceUnavailable, UnexpectedAnswer
from .defaults import option
from .given import POSITIVE
from .logs import logs_on_stderr
from .writing import leave_stdout

__all__ = ["FAILED", "connected", "is_table", "labels_of", "opened", "plain", "shows", "trouble", "write_lines"]

F = TypeVar("F", bound=Callable[..., Any])
FAILED, _UNREACHED = 1, 4  # exit codes; 2, usage, is click's, and 130, Ctrl-C, is the group's
_HIDDEN = ("read",)  # fields that are no data


def connected(function: F) -> F:
    """Add the options that say where the service is."""
    for each in reversed((
        option("--url", default="http://127.0.0.1:8765", show_default=True, help="Where the service is."),
        option("--token", help="Its token; better in WORKERPOOL_TOKEN, or in a file: other users see what is typed."),
        option("--token-file", type=click.Path(dir_okay=False, allow_dash=True), help="A file that has the token."),
        option("--call-timeout", default=30.0, show_default=True, type=POSITIVE,
               help="Seconds that a call may take, with what it waits while the service is away."),
        option("-v", "--verbose", count=True, help="Tell more on stderr."),
    )):  # fmt: skip
        function = each(function)
    return function


def shows(function: F) -> F:
    """Add the option that says how data is shown."""
    kinds = click.Choice(["auto", "json", "table"])
    added: F = option("--format", "shape", default="auto", show_default=True, type=kinds,
                      help="How data is shown; auto: a table on a terminal, else lines of JSON.")(function)  # fmt: skip
    return added


@contextmanager
def opened(given: Mapping[str, Any], *, quiet: bool = False) -> Iterator[Client]:
    """Give a client; what it raises ends the command with its exit code."""
    with logs_on_stderr(given["verbose"], quiet=quiet), exits():
        with Client(given["url"], _token(given), timeout=given["call_timeout"]) as client:
            yield client


@contextmanager
def exits() -> Iterator[None]:
    """End the command as its help says: 1 refused or failed, 2 wrong usage, 4 not reached."""
    try:
        yield
    except BadArgument as exc:
        raise click.UsageError(defused(str(exc))) from None
    except WorkerPoolError as exc:
        trouble(str(exc))
        sys.exit(_UNREACHED if isinstance(exc, ServiceUnavailable | UnexpectedAnswer) else FAILED)
    except BrokenPipeError:
        leave_stdout()
        sys.exit(FAILED)
    except OSError as exc:
        place = f"{exc.filename!r}: " if exc.filename else ""
        trouble(f"cannot read or write {place}{exc.strerror}; mend that or give another place")
        sys.exit(_UNREACHED)


def trouble(text: str) -> None:
    """Say on stderr what is wrong."""
    click.echo(f"workerpool: {defused(text)}", err=True)


def is_table(shape: str) -> bool:
    """Whether data is shown as a table."""
    return shape == "table" or (shape == "auto" and sys.stdout is not None and sys.stdout.isatty())


def write_lines(rows: Iterable[Any]) -> None:
    """Write each row as a line of JSON, out at once."""
    for row in rows:
        click.echo(json.dumps(plain(row)))


def plain(value: Any) -> Any:
    """Return a value of the client's ready for JSON, by the names that the wire has."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if is_dataclass(value):
        names = [each.name for each in fields(value) if each.name not in _HIDDEN]
        return {"headers" if name == "header_items" else name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def labels_of(given: Iterable[str]) -> dict[str, str]:
    """Return labels that were given as NAME:VALUE; raises a usage error."""
    pairs = [each.partition(":") for each in given]
    if any(not name or not colon for name, colon, _ in pairs):
        raise click.UsageError("--label is NAME:VALUE")
    return {name: value for name, _, value in pairs}


def _token(given: Mapping[str, Any]) -> str | None:
    """Return the token: what was typed comes first, then the file, then what the environment or a setting says."""
    ctx, place = click.get_current_context(), given["token_file"]
    typed = {ParameterSource.COMMANDLINE}
    if given["token"] is not None and (place is None or ctx.get_parameter_source("token") in typed):
        return str(given["token"]).strip()
    if place is None:
        return None
    try:
        text = sys.stdin.readline() if place == "-" else Path(place).read_text()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise click.UsageError(f"--token-file {place!r} cannot be read: {reason}") from None
    return text.strip()
