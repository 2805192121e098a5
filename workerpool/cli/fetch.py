"""`workerpool fetch`: URLs in, JSON Lines out; with a state, politeness or other outputs by a Crawl."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from ..caller.anypool import AnyPool
from . import options
from .defaults import Command, option
from .given import check_places, checked_request, lane_options
from .pools import opened
from .progress import Meter
from .report import json_line, succeeded
from .stdin import open_stdin
from .writing import leave_stdout

__all__ = ["fetch"]

_FAILED, _LOCAL_IO = 1, 4  # exit codes; 2, usage, is click's, and 130, Ctrl-C, is the group's
_HURRY = 5.0  # seconds that the pool gets to close after Ctrl-C or a lost output
_AGAIN = ("failed", "invalid", "dns", "tls", "proxy", "timeout", "connect", "lost", "redirects", "size", "decoding",
          "protocol", "4xx", "5xx", "parse", "other", "robots-unreachable")  # fmt: skip
# What a pool alone does not do.
_OF_A_CRAWL = ("state", "resume", "restart", "since", "again", "robots", "auto", "delay", "contact", "respects", "sign",
               "sign_as", "save", "extracts", "max_pages", "max_time", "max_bytes", "dry_run", "column",
               "report", "plot", "skip_existing", "max_filesize")  # fmt: skip
_OTHER_OUTPUTS = (".csv", ".csv.gz", ".jsonl.gz", ".ndjson.gz", ".parquet", ".warc", ".warc.gz", ".wacz")
_OTHER_INPUTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xml", ".gz", ".zst", ".zstd")


@click.command(cls=Command)
@click.argument("urls", nargs=-1)
@option("-i", "--input", "source", type=click.Path(dir_okay=False, allow_dash=True),
        help="File with one URL a line, or - for stdin; blank lines and # lines are skipped. By its end also .csv, "
             ".jsonl with options for each URL, .xml or the URL of a sitemap; .gz and .zst are unpacked.")  # fmt: skip
@option("--column", help="Column of a CSV that has the URLs, by name or number from 1; url, or the first one.")
@options.outputs
@options.network
@option("--per-host", default=0, type=click.IntRange(0), help="At once at each host; no limit if left out.")
@options.politeness
@option("--robots/--no-robots", help="Obey robots.txt.")
@option("-X", "--method", help="GET if left out; POST with --data.")
@option("-d", "--data", help="Body of each request; @FILE: what is in the file.")
@option("--fail-status/--no-fail-status", default=True, show_default=True,
        help="Count a status of 400 or more as a failure.")  # fmt: skip
@options.states
@option("--retry", "again", multiple=True, type=click.Choice(_AGAIN),
        help="Ask again for what failed so in the complete run of --state; the new rows go to a new -o.")  # fmt: skip
@option("--skip-existing/--no-skip-existing", help="Ask for nothing whose file is in the --save folder already.")
@option("--max-filesize", type=click.IntRange(1), help="The most bytes that a file of --save may have.")
@options.budgets
@options.signing
@options.telling
def fetch(urls: tuple[str, ...], source: str | None, **given: Any) -> None:
    """Fetch URLS, and those of a file, all at once; write a line of JSON for each.

    \b
    Exits 0 if all succeeded,
          1 if some failed,
          2 for wrong usage,
          3 if a budget (--max-...) has stopped it and the state can go on,
          4 if the input cannot be read, the output cannot be written,
            or the system gives no more files or threads,
          130 after Ctrl-C, 143 after TERM.
    """
    if _is_plain(source, given):
        _fetch_plainly(urls, source, next(iter(given["outputs"]), None), given)
    from .fetch_polite import fetch_politely  # it loads what most runs need not

    fetch_politely(urls, source, given | {"is_list": True})


def _is_plain(source: str | None, given: Mapping[str, Any]) -> bool:
    """Whether the pool alone will do: it is quicker, and its lines are out as soon as they can be."""
    if any(given[name] for name in _OF_A_CRAWL) or len(given["outputs"]) > 1:
        return False
    if any(name == "-" or name.lower().endswith(_OTHER_OUTPUTS) for name in given["outputs"]):
        return False
    return source is None or not (source.lower().endswith(_OTHER_INPUTS) or "://" in source)


def _fetch_plainly(urls: tuple[str, ...], source: str | None, output: str | None, given: Mapping[str, Any]) -> NoReturn:
    check_places(urls, source, output)
    asked = checked_request(given["method"], given["data"])
    quiet = given["quiet"]
    total = None if quiet else _total(urls, source)
    meter = Meter(total, quiet=quiet, shared_screen=output is None and sys.stdout is not None and sys.stdout.isatty())
    try:
        with _open_pool(given) as pool, _open_output(output) as out, meter:
            for result in pool.fetch_many(_inputs(urls, source), **asked):
                # Flushed line by line: whatever ends the run, what is finished is there.
                with _named(output or "stdout"):
                    out.write(json_line(result, body=given["body"]) + "\n")
                    out.flush()
                meter.count(ok=succeeded(result, fail_status=given["fail_status"]))
    except BrokenPipeError:
        leave_stdout()
        sys.exit(_FAILED)
    except OSError as exc:
        _give_up(exc, output, meter.done)
    sys.exit(_FAILED if meter.failed else 0)


def _pool_options(given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("connections", "per_host", "rate", "per_host_rate", "workers", "timeout", "retries", "headers", "proxy",
             "insecure")  # fmt: skip
    return lane_options({name: given[name] for name in names})


def _total(urls: tuple[str, ...], source: str | None) -> int | None:
    """Return how many URLs there are to come; None where only reading would tell."""
    if source is None:
        return len(urls)
    if source == "-" or not Path(source).is_file():
        return None
    return sum(1 for _ in _inputs(urls, source))


def _inputs(urls: Iterable[str], source: str | None) -> Iterator[str]:
    yield from urls
    if source is None:
        return
    # Bytes that are no UTF-8 come as in arguments: not replaced by what would be another, valid URL.
    options: dict[str, Any] = {"encoding": "utf-8-sig", "errors": "surrogateescape"}
    with open_stdin(**options) if source == "-" else Path(source).open(**options) as lines:
        with _named(source):
            for line in lines:
                if (url := line.strip(" \t\r\n")) and not url.startswith("#"):
                    yield url


@contextmanager
def _open_pool(given: Mapping[str, Any]) -> Iterator[AnyPool]:
    pool = opened(given, _pool_options(given))
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True, timeout=_HURRY)
        raise
    pool.shutdown()


@contextmanager
def _open_output(output: str | None) -> Iterator[TextIO]:
    if output is not None:
        file = Path(output).open("w", encoding="utf-8")  # noqa: SIM115  its end is below, and may fail by itself
        try:
            yield file
        finally:
            with _named(output):
                file.close()
    elif sys.stdout is None:  # started with >&-
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "stdout")
    else:
        yield sys.stdout


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Put the place into errors of reading and writing, which tell none."""
    try:
        yield
    except OSError as exc:
        exc.filename = exc.filename or place
        raise


def _give_up(exc: OSError, output: str | None, done: int) -> NoReturn:
    """Name the place and the cure, and exit."""
    if exc.filename is None:
        trouble = f"the system refuses: {exc.strerror}; fewer --workers or --connections, or a higher limit (ulimit -n)"
    else:
        trouble = f"cannot read or write {exc.filename!r}: {exc.strerror}; mend that or give another place"
    after = f" ({done} results were written)" if done else ""
    click.echo(f"workerpool: {trouble}{after}", err=True)
    if output is None:
        leave_stdout()
    sys.exit(_LOCAL_IO)
