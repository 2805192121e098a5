"""`workerpool watch`: a service's jobs while they run."""

import sys
from collections.abc import Iterator
from itertools import islice
from time import monotonic, sleep
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ..scraping.sinks.text import defused
from ..service import Client, Event, Job, NotFound, ServiceStats, ServiceUnavailable
from .calling import FAILED, connected, is_table, opened, shows, write_lines
from .defaults import Command
from .tables import job_table

__all__ = ["watch"]

_FRAME = 0.5  # seconds between two looks
_PAUSE = 1.0  # seconds between two tries to reach a service that is away
_PATIENCE = 3.0  # seconds after which that is told


@click.command(cls=Command)
@click.argument("job", required=False)
@shows
@connected
def watch(job: str | None, **given: Any) -> None:
    """Watch JOB until it is done, or all jobs of a service, until Ctrl-C.

    On a terminal it is a live view, elsewhere a line of JSON for each event. It bears a service that restarts: it
    waits for it, and goes on where it was.

    \b
    Exits 0 if JOB has succeeded, 1 if it has not, or is not there,
          2 for wrong usage, 4 if the service cannot be reached at the beginning, 130 after Ctrl-C.
    """
    painted = is_table(given["shape"])
    if painted:  # the picture is to say soon that the service is away
        given["call_timeout"] = min(given["call_timeout"], _PATIENCE)
    with opened(given, quiet=painted) as client:
        first = client.job(job) if job is not None else None  # a wrong URL, token or id ends it here
        if first is None:
            client.stats()
        if painted:
            ended = _show(client, job)
        else:
            write_lines(_events(client, job))
            ended = None if job is None else client.job(job)
    sys.exit(0 if ended is None or ended.ok else FAILED)


def _events(client: Client, job: str | None) -> Iterator[Event]:
    """Yield events, however long the service is away."""
    last = client.stats().last_event if job is None else None
    while True:
        try:
            for event in client.events(job, last_id=last):
                last = event.id
                yield event
            return
        except ServiceUnavailable as exc:
            click.echo(f"workerpool: {defused(str(exc))}; waiting for it", err=True)
            sleep(_PAUSE)


def _show(client: Client, job: str | None) -> Job | None:
    """Paint how it is, until the job is done; returns that."""
    away, seen = 0.0, Group()
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            try:
                jobs, numbers = _look(client, job)
                away, seen = 0.0, Group(_line(client, numbers), job_table(jobs))
                live.update(seen, refresh=True)
                if job is not None and jobs[0].done:
                    return jobs[0]
            except ServiceUnavailable as exc:
                away = away or monotonic()
                live.update(Group(_away(exc, monotonic() - away), seen), refresh=True)
            except NotFound:
                if job is not None:
                    raise
            sleep(_FRAME)


def _look(client: Client, job: str | None) -> tuple[list[Job], ServiceStats]:
    numbers = client.stats()
    if job is not None:
        return [client.job(job)], numbers
    return list(islice(client.jobs(limit=20), 20)), numbers


def _line(client: Client, numbers: ServiceStats) -> RenderableType:
    jobs = ", ".join(f"{number} {state}" for state, number in numbers.jobs.items() if number) or "no jobs"
    return Text(defused(f"{client.url}: {jobs}; {numbers.queued} requests wait, {numbers.running} run"))


def _away(exc: ServiceUnavailable, seconds: float) -> RenderableType:
    return Text(f"{defused(str(exc))} ({seconds:.0f} s); waiting for it", style="red")
