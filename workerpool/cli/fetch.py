"""`workerpool fetch`: URLs in, JSON Lines out."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from ..caller.pool import WorkerPool
from ..errors import InvalidRequest
from .given import POSITIVE, check_places, checked_request, lane_options, usage_error
from .progress import Meter
from .report import json_line, succeeded
from .stdin import open_stdin

__all__ = ["fetch"]

_FAILED, _LOCAL_IO = 1, 4  # exit codes; 2, usage, is click's, and 130, Ctrl-C, is the group's
_HURRY = 5.0  # seconds that the pool gets to close after Ctrl-C or a lost output


@click.command()
@click.argument("urls", nargs=-1)
@click.option("-i", "--input", "source", type=click.Path(dir_okay=False, allow_dash=True),
              help="File with one URL a line, or - for stdin; blank lines and # lines are skipped.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File for the results; stdout if left out.")
@click.option("--connections", default=100, show_default=True, type=click.IntRange(0), help="At once; 0: no limit.")
@click.option("--per-host", default=0, type=click.IntRange(0), help="At once at each host; no limit if left out.")
@click.option("--rate", type=POSITIVE, help="Requests a second, evenly spaced; no limit if left out.")
@click.option("--per-host-rate", type=POSITIVE, help="The same at each host.")
@click.option("--workers", type=click.IntRange(1), help="Worker threads; as many as pay off if left out.")
@click.option("--timeout", default=30.0, show_default=True, type=POSITIVE,
              help="Seconds for each URL, retries included, but not its wait for a place.")  # fmt: skip
@click.option("--retries", default=2, show_default=True, type=click.IntRange(0, 100),
              help="How often a URL is tried again after a lost connection, silence, or a 429 or 5xx.")  # fmt: skip
@click.option("-X", "--method", help="GET if left out; POST with --data.")
@click.option("-d", "--data", help="Body of each request; @FILE: what is in the file.")
@click.option("-H", "--header", "headers", multiple=True, help="A header 'Name: value'; may be repeated.")
@click.option("--proxy", help="http://, https:// or socks5h:// URL; those of the environment are not used.")
@click.option("--insecure", is_flag=True, help="Check no certificates.")
@click.option("--body/--no-body", help="Put the text of each body into its line.")
@click.option("--fail-status/--no-fail-status", default=True, show_default=True,
              help="Count a status of 400 or more as a failure.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def fetch(
    urls: tuple[str, ...],
    source: str | None,
    output: str | None,
    method: str | None,
    data: str | None,
    body: bool,
    fail_status: bool,
    quiet: bool,
    **pool_options: Any,
) -> None:
    """Fetch URLS, and those of a file, all at once; write a line of JSON for each.

    \b
    Exits 0 if all succeeded,
          1 if some failed,
          2 for wrong usage,
          4 if the input cannot be read, the output cannot be written,
            or the system gives no more files or threads,
          130 after Ctrl-C.
    """
    check_places(urls, source, output)
    asked = checked_request(method, data)
    total = None if quiet else _total(urls, source)
    meter = Meter(total, quiet=quiet, shared_screen=output is None and sys.stdout is not None and sys.stdout.isatty())
    try:
        with _open_pool(lane_options(pool_options)) as pool, _open_output(output) as out, meter:
            for result in pool.fetch_many(_inputs(urls, source), **asked):
                # Flushed line by line: whatever ends the run, what is finished is there.
                with _named(output or "stdout"):
                    out.write(json_line(result, body=body) + "\n")
                    out.flush()
                meter.count(ok=succeeded(result, fail_status=fail_status))
    except BrokenPipeError:
        _leave_stdout()
        sys.exit(_FAILED)
    except OSError as exc:
        _give_up(exc, output, meter.done)
    sys.exit(_FAILED if meter.failed else 0)


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
def _open_pool(options: dict[str, Any]) -> Iterator[WorkerPool]:
    try:
        pool = WorkerPool(**options)
    except InvalidRequest as exc:
        raise usage_error(exc) from None
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
        _leave_stdout()
    sys.exit(_LOCAL_IO)


def _leave_stdout() -> None:
    """Point stdout to nowhere: the interpreter flushes it once more at its end, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
