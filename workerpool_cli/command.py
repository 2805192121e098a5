"""The command line: `workerpool fetch`, `crawl` and others. Data on stdout, the rest on stderr."""

import sys
from importlib import import_module
from typing import Any

import click

__all__ = ["COMMANDS", "command"]

_INTERRUPTED = 130  # exit code: 128 + SIGINT, as shells have it
COMMANDS = {
    "cancel": "End JOBS: what waits is not sent, what runs is aborted.",
    "completion": "Print the script with which SHELL completes this command.",
    "config": "Show the settings, and where each value comes from.",
    "crawl": "Crawl from URLS along links and sitemaps, politely and within a scope; a line of JSON for each page.",
    "demo": "Scrape a local site one page at a time, with threads, then with the pool, and compare.",
    "doctor": "Report versions, event loop, GIL, limits and proxies, and measure a round trip; for bug reports.",
    "explain": "Explain NAME: an error, a stage, both as in TLSError:tls, or a call; without it, list them.",
    "fetch": "Fetch URLS, and those of a file, all at once; write a line of JSON for each.",
    "identity": "Make a key and its directory in FOLDER, to sign requests (Web Bot Auth), and print what to publish.",
    "results": "Write the results of JOB, in the order they were finished; a line of JSON for each.",
    "retry": "Begin the next run of JOBS: of what did not succeed.",
    "serve": "Take jobs over HTTP, fetch what they ask for, and keep the results.",
    "status": "Show how JOBS are, or without any the newest ones of a service.",
    "submit": "Submit URLS, and those of a file, as a job of a service",
    "token": "Add, list and remove the tokens with which a service is called.",
    "watch": "Watch JOB until it is done, or all jobs of a service, until Ctrl-C.",
    "why": "Say why URL was skipped, failed or fetched: the rule, each attempt, redirects, where it was found.",
    "work": "Fetch what the job service has to fetch; its database is to be PostgreSQL.",
}


class _Commands(click.Group):
    """A group that loads a command when it is called, and ends by Ctrl-C as shells expect.

    Help and completion come at once so: what the commands need takes a third of a second to load.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the command of that name, from the module of that name."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"workerpool.cli.{cmd_name}"), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, and load none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exits 130 when it is interrupted, where click would exit 1 with "Aborted!"."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(_INTERRUPTED)


def _show_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"workerpool, version {import_module('workerpool').__version__}")
        ctx.exit()


@click.group(cls=_Commands)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def command() -> None:
    """Fetch many URLs at once with a thread-isolated pool of HTTP sessions."""
