"""`workerpool config`: which values the options have when no flag says otherwise, and where each comes from."""

from importlib import import_module

import click

from .defaults import COMMANDS, Command, Option, files, not_taken, origin_of, shown

__all__ = ["config"]


@click.group()
def config() -> None:
    """Show the settings, and where each value comes from.

    \b
    Flags come before the environment (WORKERPOOL_FETCH_RATE for one command, WORKERPOOL_RATE for all),
    before ./workerpool.toml, before the user's file, before the defaults.
    The file of a folder may be anybody's, and sets nothing that could do harm; --config FILE names one that is trusted.
    A file has names as they are typed, for all commands, or in a table for one:

    \b
      contact = "https://example.org/bot"
      [fetch]
      per-host = 4
    """


@config.command("show")
@click.argument("command", required=False, type=click.Choice(COMMANDS))
@click.option("--config", "named", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="As of the commands: in the place of ./workerpool.toml.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Those that have their defaults, too.")
def show(command: str | None, named: str | None, everything: bool) -> None:
    """Print `COMMAND.OPTION = VALUE  # WHERE FROM`; secrets are not told."""
    for place in files(named):
        click.echo(f"# {place}: {'read' if place.is_file() else 'not there'}")
    if named is None:
        refused = ", ".join(sorted({each for name in COMMANDS for each in not_taken(_command(name))}))
        click.echo(f"# {files()[0]} sets no {refused}, and no places outside of its folder; --config FILE may")
    for name in [command] if command else COMMANDS:
        for line in _lines(_command(name), name, named, everything=everything):
            click.echo(line)


def _lines(command: Command, name: str, named: str | None, *, everything: bool) -> list[str]:
    needed = ["-" for each in command.params if isinstance(each, click.Argument) and each.required]
    ctx = command.make_context(name, [*(["--config", named] if named else []), *needed])
    found = []
    for parameter in command.params:
        if not isinstance(parameter, Option):
            continue
        origin = origin_of(ctx, parameter)
        if origin != "default" or everything:
            typed = next(each for each in (*parameter.opts, "") if each.startswith("--"))[2:]
            found.append(f"{name}.{typed} = {shown(parameter, ctx.params.get(parameter.name or ''))}  # {origin}")
    return found


def _command(name: str) -> Command:
    found: Command = getattr(import_module(f"{__package__}.{name}"), name)  # it loads what it needs, which is much
    return found
