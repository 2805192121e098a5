"""`workerpool results`: what became of a job's requests."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

from ..service import Result
from .calling import FAILED, connected, is_table, opened, plain, shows
from .defaults import Command, option

__all__ = ["results"]


@click.command(cls=Command)
@click.argument("job")
@click.option("--follow", is_flag=True, help="Go on until the job is done.")
@click.option("--ok/--failed", default=None, help="Only those that have succeeded, or have not.")
@option("--body/--no-body", help="Put the text of each body into its line.")
@shows
@connected
def results(job: str, **given: Any) -> None:
    """Write the results of JOB, in the order they were finished; a line of JSON for each.

    \b
    Exits 0 if all of them have succeeded,
          1 if some have not, or the job is not there,
          2 for wrong usage,
          4 if the service cannot be reached, or the output cannot be written,
          130 after Ctrl-C.
    """
    with opened(given) as client:
        found = client.results(job, follow=given["follow"], ok=given["ok"])
        if is_table(given["shape"]):
            from .tables import show_results

            good = show_results(found)
        else:
            good = _write(found, body=given["body"])
    sys.exit(0 if good else FAILED)


def _write(found: Iterable[Result], *, body: bool) -> bool:
    good = True
    for result in found:
        row = plain(result) | ({"text": result.text} if body else {})
        click.echo(json.dumps(row))
        good = good and result.ok
    return good
