"""What was given to `workerpool fetch`, checked before anything is opened or overwritten."""

import os
import re
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any, TypedDict

import click

from ..errors import InvalidRequest
from ..settings import Retry

__all__ = ["POSITIVE", "check_places", "checked_request", "lane_options", "pairs", "usage_error"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2


class _Positive(click.ParamType[float]):
    """A number above 0, and no more than a number can be."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; fails for what is none."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        if not isfinite(number) or number <= 0:
            self.fail(f"{value} is not above 0", param, ctx)
        return number


POSITIVE = _Positive()


class Asked(TypedDict, total=False):
    """What each request is made with beside its URL."""

    method: str
    data: bytes


def check_places(urls: tuple[str, ...], source: str | None, output: str | None) -> None:
    """Raise a usage error for places that cannot be; nothing was opened or overwritten yet."""
    if not urls and source is None:
        raise click.UsageError("there is nothing to fetch; give URLs, or a file of them with -i (- for stdin)")
    if source is None or source == "-":
        return
    if not os.access(source, os.R_OK):
        raise click.UsageError(f"-i {source!r} cannot be read; give a file with one URL a line, or - for stdin")
    if output is not None and Path(output).is_file() and Path(output).samefile(source):
        raise click.UsageError(f"-o {output!r} would overwrite the input; give another file")


def pairs(headers: Iterable[str]) -> list[tuple[str, str]]:
    """Return names and values; raises a usage error."""
    pairs = []
    for number, header in enumerate(headers, 1):
        name, colon, value = header.partition(":")
        if not colon or len(name.split()) != 1:
            # By number, for the text may be a secret.
            raise click.UsageError(f"-H number {number} is not of the form 'Name: value'")
        pairs.append((name.strip(), value.strip()))
    return pairs


def checked_request(method: str | None, data: str | None) -> Asked:
    """Return what goes with each URL; raises a usage error."""
    asked = Asked()
    if data is not None:
        asked["data"] = _contents(data[1:]) if data.startswith("@") else data.encode("utf-8", "surrogateescape")
        asked["method"] = "POST"
    if method is not None:
        if not _TOKEN.fullmatch(method):
            raise click.UsageError(f"-X {method!r} is no method; give one such as HEAD")
        asked["method"] = method.upper()
    return asked


def _contents(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as exc:
        raise click.UsageError(f"-d '@{name}' cannot be read: {exc.strerror}") from None


def lane_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of the pool: those of one name, and those that the command calls otherwise."""
    options = {name: value for name, value in given.items() if name not in ("headers", "retries", "insecure")}
    options["headers"] = pairs(given["headers"])
    options["retry"] = Retry(attempts=given["retries"] + 1) if given["retries"] else None
    options["ssl"] = not given["insecure"]
    return options


def usage_error(exc: InvalidRequest) -> click.UsageError:
    """Return what the pool says of its settings, in the words of the command, which has options and no lanes."""
    text = str(exc).removeprefix(f"lane '{exc.lane}': ")
    name, rest = text.partition(" ")[::2]
    return click.UsageError(f"--{name} {rest}" if name in ("connections", "proxy", "workers") else text)
