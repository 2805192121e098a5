"""`workerpool fetch`: URLs in, JSON Lines out."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from ..errors import InvalidRequest
from ..pool import WorkerPool
from ..request import Request
from .progress import Meter
from .report import json_line, succeeded

__all__ = ["fetch"]

_FAILED, _LOCAL_IO, _INTERRUPTED = 1, 4, 130  # exit codes; 2, usage, is click's


@click.command()
@click.argument("urls", nargs=-1)
@click.option("-i", "--input", "source", type=click.Path(exists=True, dir_okay=False, allow_dash=True),
              help="File with one URL a line, or - for stdin; empty lines and lines with # are skipped.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File for the results; stdout if left out.")
@click.option("--connections", default=100, show_default=True, type=click.IntRange(0), help="At once; 0: no limit.")
@click.option("--workers", type=click.IntRange(1), help="Worker threads; as many as pay off if left out.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds for each URL, retries included.")
@click.option("-H", "--header", "headers", multiple=True, help="A header 'Name: value'; may be repeated.")
@click.option("--body/--no-body", help="Put the text of each body into its line.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no summary.")
def fetch(
    urls: tuple[str, ...],
    source: str | None,
    output: str | None,
    connections: int,
    workers: int | None,
    timeout: float,
    headers: tuple[str, ...],
    body: bool,
    quiet: bool,
) -> None:
    """Fetch URLS, and those of a file, all at once; write a line of JSON for each.

    Exits 0 if all succeeded with a status below 400, 1 if some did not, 2 for wrong usage, 4 if the output
    cannot be written, 130 after Ctrl-C.
    """
    if not urls and source is None:
        raise click.UsageError("give URLs, or a file of them with -i (- for stdin)")
    meter = Meter(_total(urls, source), quiet=quiet)
    try:
        pool = WorkerPool(workers=workers, connections=connections, timeout=timeout, headers=_pairs(headers))
    except InvalidRequest as exc:
        raise click.UsageError(str(exc)) from None
    try:
        with pool, _opened(output) as out:
            _run(pool, _inputs(urls, source), out, meter, body=body)
    except KeyboardInterrupt:
        pool.shutdown(timeout=0)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        _leave_pipe()
    except OSError as exc:
        sys.stderr.write(f"workerpool: cannot read or write: {exc.strerror}: {exc.filename or output or 'stdout'}\n")
        sys.exit(_LOCAL_IO)
    sys.exit(_FAILED if meter.failed else 0)


def _run(pool: WorkerPool, inputs: Iterable[str | Request], out: TextIO, meter: Meter, *, body: bool) -> None:
    with meter, pool.fetch_many(inputs) as results:
        try:
            for result in results:
                out.write(json_line(result, body=body) + "\n")
                meter.count(ok=succeeded(result))
        except BaseException:
            results.close()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            if not out.closed:
                out.flush()


def _inputs(urls: tuple[str, ...], source: str | None) -> Iterator[str]:
    yield from urls
    if source is None:
        return
    with click.open_file(source, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if (url := line.strip()) and not url.startswith("#"):
                yield url


def _total(urls: tuple[str, ...], source: str | None) -> int | None:
    """Return how many URLs there are to come; None where only reading would tell."""
    if source is None:
        return len(urls)
    if source == "-" or not Path(source).is_file():
        return None
    return sum(1 for _ in _inputs(urls, source))


def _pairs(headers: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [header.partition(":") for header in headers]
    if wrong := next((header for header, pair in zip(headers, pairs, strict=True) if not pair[1]), None):
        raise click.UsageError(f"-H takes 'Name: value', not {wrong!r}")
    return [(name.strip(), value.strip()) for name, _, value in pairs]


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with Path(output).open("w", encoding="utf-8") as file:
        yield file


def _leave_pipe() -> None:
    """End quietly when the reader of stdout has gone; the interpreter must not flush into the void."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_FAILED)
