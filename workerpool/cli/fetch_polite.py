"""`workerpool fetch` where a pool alone will not do: a Crawl over the inputs, without following anything."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from ..caller.anypool import AnyPool
from ..scraping.ahead import Ahead
from ..scraping.backlog import Ask, Asks, Source
from ..scraping.errors import InputError
from ..scraping.gathered import Gathered, SitemapInput, is_sitemap
from ..scraping.inputs import BadLine, Input
from ..scraping.item import Item
from ..scraping.outcome import Outcome
from ..scraping.sinks.text import defused
from .dry_run import dry_run
from .given import Asked, checked_request
from .made import made_extractor, made_politeness, made_signer, output_names, own_headers
from .scrape import Run, digest, scrape

__all__ = ["fetch_politely"]


def fetch_politely(urls: tuple[str, ...], source: str | None, given: Mapping[str, Any]) -> NoReturn:
    """Run it, and exit."""
    again = given["again"]
    if given["max_filesize"] and not given["save"]:
        raise click.UsageError("--max-filesize needs --save DIR: it bounds the files there")
    if given["skip_existing"] and not given["save"]:
        raise click.UsageError("--skip-existing needs --save DIR: the folder in which the files are looked for")
    if given["skip_existing"] and (given["since"] or again):
        raise click.UsageError("--skip-existing asks for nothing that is there; leave out --since and --retry")
    _check_inputs(urls, source, given)
    asked = checked_request(given["method"], given["data"])
    column = given["column"]
    listed = None if source is None or is_sitemap(source) else _listed(source, column)

    bad = _BadLines(source or "-")

    def inputs(pool: AnyPool) -> Source:
        return _inputs(pool, urls, source, given, asked, bad)

    if given["dry_run"]:
        dry_run(given, inputs)
    headers = own_headers(given)
    extractor = made_extractor(given)
    scrape(
        Run(
            inputs=inputs,
            identity={} if again else _identity(urls, source, listed, given),
            total=len(urls) if source is None and not again and given["state"] is None else None,
            parse=None if extractor is None else lambda outcome: _fields(extractor, outcome),
            headers=(lambda _url: headers) if headers else None,
            again=again,
            fail_status=given["fail_status"],
            bad=lambda: bad.count,
        ),
        given,
    )


def _fields(extractor: Any, outcome: Outcome) -> Iterator[Mapping[str, Any]]:
    if outcome.response is not None:
        yield extractor.extract(outcome.response)


def _check_inputs(urls: tuple[str, ...], source: str | None, given: Mapping[str, Any]) -> None:
    if given["again"]:
        _check_again(urls, source, given)
        return
    if not urls and source is None:
        raise click.UsageError("there is nothing to fetch; give URLs, or a file of them with -i (- for stdin)")
    if given["column"] is not None and (source is None or is_sitemap(source)):
        raise click.UsageError("--column needs -i FILE: a CSV, or - for stdin")
    if source is None or source == "-" or "://" in source:
        return
    if Path(source).is_dir():
        raise click.UsageError(f"-i {source!r} is a directory; give a file")
    if not os.access(source, os.R_OK):
        raise click.UsageError(f"-i {source!r} cannot be read; give a file with one URL a line, or - for stdin")
    for name in output_names(given):
        if Path(name).is_file() and Path(name).samefile(source):
            raise click.UsageError(f"-o {name!r} would overwrite the input; give another file")


def _check_again(urls: tuple[str, ...], source: str | None, given: Mapping[str, Any]) -> None:
    if given["state"] is None:
        raise click.UsageError("--retry needs --state FILE: that of the run in which something failed")
    if urls or source is not None:
        raise click.UsageError("--retry takes what failed from the state; leave out the URLs and -i")
    if given["restart"]:
        raise click.UsageError("--restart forgets what failed; leave it or --retry out")
    if not given["outputs"] and not given["save"]:
        raise click.UsageError("--retry needs an -o of its own: the rows of the run before stay as they are")


def _listed(source: str, column: str | None, on_bad: Callable[[BadLine], object] | None = None) -> Input:
    """Return the input that is a list; raises a usage error where it cannot be one."""
    try:
        return Input(source, format="csv" if source == "-" and column else None, column=_column(column), on_bad=on_bad)
    except InputError:
        raise click.UsageError(f"--column is of a CSV, and by its name -i {source!r} is none") from None


def _column(given: str | None) -> str | int | None:
    return int(given) if given is not None and given.isascii() and given.isdigit() else given


def _inputs(
    pool: AnyPool,
    urls: tuple[str, ...],
    source: str | None,
    given: Mapping[str, Any],
    asked: Asked,
    bad: "_BadLines",
) -> Source:
    parts: list[Any] = [list(urls)]
    if source == "-":
        parts.append(Ahead(_Stdin(given["column"], bad)))
    elif source is not None and is_sitemap(source):
        parts.append(
            SitemapInput(source, pool, politeness=made_politeness(given), signer=made_signer(given), on_trouble=_tell)
        )
    elif source is not None:
        parts.append(_listed(source, given["column"], bad))
    return _Asking(Gathered(parts), asked) if asked else Gathered(parts)


def _tell(text: str) -> None:
    click.echo(f"workerpool: {defused(text)}", err=True)


class _BadLines:
    """Tell of lines that are no input, and count them: they are failures, too."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self._name = name

    def __call__(self, bad: BadLine) -> None:
        self.count += 1
        _tell(f"{self._name}, line {bad.number} is passed over: {bad.reason}")


class _Stdin:
    """Read stdin, which nobody else reads: by a descriptor of its own, for a read may outlast the interpreter."""

    def __init__(self, column: str | None, bad: "_BadLines") -> None:
        self._column = column
        self._bad = bad

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any]]:
        """Yield what comes, from behind the mark on."""
        column = _column(self._column)
        if sys.stdin is None:
            raise InputError("there is no stdin")
        with os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0) as raw:
            lines = Input(raw, format="csv" if column else "text", column=column, on_bad=self._bad)
            yield from lines.read(mark)


class _Asking:
    """Give inputs the method and the body that the command names, where their own lines name none."""

    def __init__(self, source: Source, asked: Asked) -> None:
        self._source = source
        self._asked = asked

    def ask_by(self, ask: Ask) -> None:
        """Have the source ask by this; what it asks for itself gets no body."""
        if isinstance(self._source, Asks):
            self._source.ask_by(ask)

    def read(self, mark: Any = None) -> Iterator[tuple[Item, Any] | None]:
        """Yield the items of the source."""
        method, body = self._asked.get("method", "GET"), self._asked.get("data")
        for found in self._source.read(mark):
            if found is not None and found[0].method == "GET" and found[0].body is None:
                found = replace(found[0], method=method, body=body), found[1]
            yield found


def _identity(
    urls: tuple[str, ...], source: str | None, listed: Input | None, given: Mapping[str, Any]
) -> dict[str, str]:
    """Return what tells the inputs from others, in words."""
    found = {"command": "fetch"}
    if urls:
        found["URLs"] = f"{len(urls)} ({digest(urls)})"
    if listed is not None and source != "-":
        print_ = listed.fingerprint()
        size = "" if print_.size is None else f", {print_.size} bytes"
        found["input"] = f"{print_.name}{size} ({digest([print_.head, print_.tail])})"
    elif source is not None:
        found["input"] = source
    for name in ("column", "method", "data"):
        if given[name] is not None:
            found[f"--{name}"] = digest([given[name]]) if name == "data" else str(given[name])
    return found
