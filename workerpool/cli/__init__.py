"""The command line: `workerpool fetch` and `workerpool demo`. Data on stdout, the rest on stderr."""

import sys
from typing import Any

import click

from .._version import __version__
from .demo import demo
from .fetch import fetch

__all__ = ["command"]

_INTERRUPTED = 130  # exit code: 128 + SIGINT, as shells have it


class _Commands(click.Group):
    """A group whose commands end by Ctrl-C as shells expect; click itself would exit 1 with "Aborted!"."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exits 130 when it is interrupted."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="workerpool")
def command() -> None:
    """Fetch many URLs at once with a thread-isolated pool of HTTP sessions."""


command.add_command(fetch)
command.add_command(demo)
