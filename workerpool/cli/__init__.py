"""The command line: `workerpool fetch` and `workerpool demo`. Data on stdout, the rest on stderr."""

import click

from .._version import __version__
from .demo import demo
from .fetch import fetch

__all__ = ["command"]


@click.group()
@click.version_option(__version__, prog_name="workerpool")
def command() -> None:
    """Fetch many URLs at once with a thread-isolated pool of HTTP sessions."""


command.add_command(fetch)
command.add_command(demo)
