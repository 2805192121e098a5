"""The man pages: `python -m workerpool_cli.man FOLDER` writes one for each command, by click-man; docs/man/ has all."""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from workerpool import __version__

from .command import COMMANDS, command

__all__ = ["man_pages", "page_of"]

_BLOCK = re.compile(r"^\x08\n(.*?)(?=\n\n|\Z)", re.M | re.S)  # lines that click leaves as they are
_REQUEST = re.compile(r"^(?=[.'])", re.M)  # what roff would take for one of its own


def man_pages(ctx: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page: of the command, and of each below it."""
    ctx = ctx or click.Context(command, info_name="workerpool")
    yield f"{ctx.command_path.replace(' ', '-')}.1", page_of(ctx)
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, name)
            if found is not None and not found.hidden:
                yield from man_pages(click.Context(found, info_name=name, parent=ctx))


def page_of(ctx: click.Context) -> str:
    """Return the page of one command."""
    page = ManPage(ctx.command_path)
    text = cleandoc(ctx.command.help or "")
    page.version = f"workerpool {__version__}"
    page.short_help = _roff(text.partition("\n")[0].rstrip("."))
    page.synopsis = " ".join(ctx.command.collect_usage_pieces(ctx))
    page.description = _BLOCK.sub(r".nf\n\1\n.fi", _roff(text))
    records = [each.get_help_record(ctx) for each in ctx.command.params if isinstance(each, click.Option)]
    page.options = [(names, _roff(about)) for names, about in filter(None, records)]
    if isinstance(ctx.command, click.Group):
        page.commands = [(name, _roff(_about(ctx, ctx.command, name))) for name in ctx.command.list_commands(ctx)]
    return "\n".join(line.rstrip() for line in str(page).splitlines()) + "\n"


def _about(ctx: click.Context, group: click.Group, name: str) -> str:
    if group is command:
        return COMMANDS[name]
    found = group.get_command(ctx, name)
    return "" if found is None else found.get_short_help_str(200)


def _roff(text: str) -> str:
    """Return a text as roff has to have it; what click's own mark is stays."""
    return _REQUEST.sub(r"\\&", text.replace("\\", "\\e").replace("-", "\\-"))


def main(folder: str) -> None:
    """Write the pages into a folder."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in man_pages():
        (Path(folder) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
