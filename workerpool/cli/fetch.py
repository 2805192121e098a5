"""`workerpool fetch`: URLs in, JSON Lines out."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from ..errors import InvalidRequest
from ..pool import WorkerPool
from .progress import Meter
from .report import json_line, succeeded

__all__ = ["fetch"]

_FAILED, _LOCAL_IO = 1, 4  # exit codes; 2, usage, is click's, and 130, Ctrl-C, is the group's
_HURRY = 5.0  # seconds that the pool gets to close after Ctrl-C or a lost output


@click.command()
@click.argument("urls", nargs=-1)
@click.option("-i", "--input", "source", type=click.Path(dir_okay=False, allow_dash=True),
              help="File with one URL a line, or - for stdin; blank lines and # lines are skipped.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File for the results; stdout if left out.")
@click.option("--connections", default=100, show_default=True, type=click.IntRange(0), help="At once; 0: no limit.")
@click.option("--workers", type=click.IntRange(1), help="Worker threads; as many as pay off if left out.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for each URL, retries included.")
@click.option("-H", "--header", "headers", multiple=True, help="A header 'Name: value'; may be repeated.")
@click.option("--body/--no-body", help="Put the text of each body into its line.")
@click.option("--fail-status/--no-fail-status", default=True, show_default=True,
              help="Count a status of 400 or more as a failure.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def fetch(
    urls: tuple[str, ...],
    source: str | None,
    output: str | None,
    headers: tuple[str, ...],
    body: bool,
    fail_status: bool,
    quiet: bool,
    **pool_options: Any,  # connections, workers, timeout
) -> None:
    """Fetch URLS, and those of a file, all at once; write a line of JSON for each.

    \b
    Exits 0 if all succeeded,
          1 if some failed,
          2 for wrong usage,
          4 if the input cannot be read or the output cannot be written,
          130 after Ctrl-C.
    """
    _check_places(urls, source, output)
    pool_options["headers"] = _pairs(headers)
    total = None if quiet else _total(urls, source)
    meter = Meter(total, quiet=quiet, shared_screen=output is None and sys.stdout is not None and sys.stdout.isatty())
    try:
        with _open_pool(pool_options) as pool, _open_output(output) as out, meter:
            for result in pool.fetch_many(_inputs(urls, source)):
                # Flushed line by line: whatever ends the run, what is finished is there.
                out.write(json_line(result, body=body) + "\n")
                out.flush()
                meter.count(ok=succeeded(result, fail_status=fail_status))
    except BrokenPipeError:
        _leave_stdout()
        sys.exit(_FAILED)
    except OSError as exc:
        _give_up(exc, output)
    sys.exit(_FAILED if meter.failed else 0)


def _check_places(urls: tuple[str, ...], source: str | None, output: str | None) -> None:
    """Raise a usage error for places that cannot be; nothing was opened or overwritten yet."""
    if not urls and source is None:
        raise click.UsageError("there is nothing to fetch; give URLs, or a file of them with -i (- for stdin)")
    if source is None or source == "-":
        return
    if not os.access(source, os.R_OK):
        raise click.UsageError(f"-i {source!r} cannot be read; give a file with one URL a line, or - for stdin")
    if output is not None and Path(output).is_file() and Path(output).samefile(source):
        raise click.UsageError(f"-o {output!r} would overwrite the input; give another file")


def _pairs(headers: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for number, header in enumerate(headers, 1):
        name, colon, value = header.partition(":")
        if not colon or len(name.split()) != 1:
            # By number, for the text may be a secret.
            raise click.UsageError(f"-H number {number} is not of the form 'Name: value'")
        pairs.append((name.strip(), value.strip()))
    return pairs


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
    with click.open_file(source, encoding="utf-8-sig", errors="surrogateescape") as lines:
        try:
            for line in lines:
                if (url := line.strip(" \t\r\n")) and not url.startswith("#"):
                    yield url
        except OSError as exc:
            exc.filename = source  # reading tells no name, and the message should
            raise


@contextmanager
def _open_pool(options: dict[str, Any]) -> Iterator[WorkerPool]:
    try:
        pool = WorkerPool(**options)
    except InvalidRequest as exc:
        raise click.UsageError(str(exc)) from None
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True, timeout=_HURRY)
        raise
    pool.shutdown()


@contextmanager
def _open_output(output: str | None) -> Iterator[TextIO]:
    if output is not None:
        with Path(output).open("w", encoding="utf-8") as file:
            yield file
    elif sys.stdout is None:  # started with >&-
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    else:
        yield sys.stdout


def _give_up(exc: OSError, output: str | None) -> NoReturn:
    """Name the place and the cure, and exit."""
    place = exc.filename or output or "stdout"
    click.echo(f"workerpool: cannot read or write {place!r}: {exc.strerror}; mend that or give another place", err=True)
    if output is None:
        _leave_stdout()
    sys.exit(_LOCAL_IO)


def _leave_stdout() -> None:
    """Point stdout to nowhere: the interpreter flushes it once more at its end, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
