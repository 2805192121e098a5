"""`workerpool cancel`: end jobs."""

from typing import Any

import click

from .calling import connected, is_table, opened, shows, write_lines
from .defaults import Command

__all__ = ["cancel"]


@click.command(cls=Command)
@click.argument("jobs", nargs=-1, required=True)
@shows
@connected
def cancel(jobs: tuple[str, ...], **given: Any) -> None:
    """End JOBS: what waits is not sent, what runs is aborted.

    \b
    Exits 0 if all of them are cancelled,
          1 if one is done already, or is not there: those before it are cancelled,
          2 for wrong usage,
          4 if the service cannot be reached.
    """
    with opened(given) as client:
        found = (client.cancel(each) for each in jobs)
        if is_table(given["shape"]):
            from .tables import show_jobs

            show_jobs(found)
        else:
            write_lines(found)
