"""`workerpool status`: how jobs of a service are."""

import sys
from itertools import islice
from typing import Any

import click

from .calling import connected, is_table, labels_of, opened, shows, write_lines
from .defaults import Command, option

__all__ = ["status"]

_FAILED = 1
_STATES = ("queued", "running", "succeeded", "partial", "failed", "cancelled", "expired")


@click.command(cls=Command)
@click.argument("jobs", nargs=-1)
@click.option("--state", type=click.Choice(_STATES), help="Jobs in this state only.")
@click.option("--label", "labels", multiple=True, metavar="NAME:VALUE", help="With this label; may be repeated.")
@click.option("--lane", help="In this lane.")
@click.option("--search", help="With this text in id, labels or first URL.")
@option("--limit", default=20, show_default=True, type=click.IntRange(1), help="So many at most.")
@shows
@connected
def status(jobs: tuple[str, ...], **given: Any) -> None:
    """Show how JOBS are, or without any the newest ones of a service.

    \b
    Exits 0 if none of JOBS has failed,
          1 if one has, in part too, or was cancelled or expired, or is not there,
          2 for wrong usage,
          4 if the service cannot be reached.
    """
    with opened(given) as client:
        if jobs:
            found = [client.job(each) for each in jobs]
        else:
            which = {"state": given["state"], "labels": labels_of(given["labels"]), "lane": given["lane"]}
            found = list(islice(client.jobs(**which, q=given["search"], limit=min(given["limit"], 1000)),
                                given["limit"]))  # fmt: skip
        if is_table(given["shape"]):
            from .tables import show_jobs

            show_jobs(found)
        else:
            write_lines(found)
    sys.exit(_FAILED if jobs and any(each.done and not each.ok for each in found) else 0)
