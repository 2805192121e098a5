"""`workerpool why`: what became of one URL in a run, told from its state."""

import sys

import click

from ..scraping.errors import OtherRun, StateError
from ..scraping.explaining import explain
from ..scraping.sinks.text import defused

__all__ = ["why"]

_UNKNOWN, _LOCAL_IO = 1, 4


@click.command()
@click.argument("url")
@click.option("--state", required=True, type=click.Path(dir_okay=False), help="The state file of the run.")
def why(url: str, state: str) -> None:
    """Say why URL was skipped, failed or fetched: the rule, each attempt, redirects, where it was found.

    The state is only read, also while a run is writing it.

    \b
    Exits 0 if the run knows the URL,
          1 if it does not,
          2 for wrong usage,
          4 if the state cannot be read.
    """
    try:
        found = explain(state, url)
    except OtherRun as exc:
        raise click.UsageError(str(exc)) from None
    except StateError as exc:
        click.echo(f"workerpool: {defused(str(exc))}", err=True)
        sys.exit(_LOCAL_IO)
    for line in found.lines():
        indent = line[: len(line) - len(line.lstrip(" "))]
        click.echo(indent + defused(line.strip()))
    sys.exit(0 if found.is_known else _UNKNOWN)
