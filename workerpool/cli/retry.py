"""`workerpool retry`: do jobs again."""

from typing import Any

import click

from .calling import connected, is_table, opened, shows, write_lines
from .defaults import Command

__all__ = ["retry"]


@click.command(cls=Command)
@click.argument("jobs", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="All of their requests, also those that have succeeded.")
@shows
@connected
def retry(jobs: tuple[str, ...], **given: Any) -> None:
    """Begin the next run of JOBS: of what did not succeed.

    \b
    Exits 0 if all of them run again,
          1 if one is not done yet, has nothing to do again, or is not there: those before it run,
          2 for wrong usage,
          4 if the service cannot be reached.
    """
    with opened(given) as client:
        found = (client.retry(each, only="all" if given["everything"] else "failed") for each in jobs)
        if is_table(given["shape"]):
            from .tables import show_jobs

            show_jobs(found)
        else:
            write_lines(found)
