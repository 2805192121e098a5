"""The pages that are made of what the package knows: `python docs/tools/made.py` writes them, a test compares."""

import re
import sys
from inspect import cleandoc
from pathlib import Path

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import click

import workerpool
import workerpool.cluster.errors as of_clusters
from workerpool.explanations import CALLS, ERRORS, STAGES
from workerpool.scraping import errors as of_runs
from workerpool.service.client import errors as of_services
from workerpool_cli.command import COMMANDS, command

__all__ = ["PAGES", "main"]

_ROOMS = (workerpool, of_runs, of_clusters, of_services)
_MADE = "<!-- Made by docs/tools/made.py of {}. -->"
_INTRODUCTION = f"""# Each error

{_MADE.format("workerpool/explanations/")}

What happened on the wire, whether the request was sent, whether it is tried again, what to do. The same is printed by
`workerpool explain TLSError`, without a network; `workerpool explain ConnectionLost:headers` adds the stage. The
message of an error does not name its anchor: it is logged by the thousand, and the class, with which the last line of a
traceback begins, is the anchor.

**Sent** is what the server may have seen of the request. **Again** is what an idempotent request comes to by itself: it
is tried up to `Retry.attempts` times within its deadline; a POST is not, unless `Retry(methods=...)` says so.

## Errors
"""
_COMMANDS = f"""# Each command

{_MADE.format("the commands themselves")}

`pip install 'aiohttp-workerpool[cli]'`. Data goes to stdout, the rest to stderr. `workerpool completion SHELL` has the
completion of a shell.
"""
_OF_CALLS = """A lane and a session have the calls of the pool.
Besides, each call has a `TypeError` for what is no argument of it."""


def errors_page() -> str:
    """Return docs/errors.md: a heading, and so an anchor, for each error and each stage; what each call may raise."""
    lines = [*_INTRODUCTION.splitlines(), ""]
    for name, error in ERRORS.items():
        kind = next(getattr(each, name) for each in _ROOMS if hasattr(each, name))
        bases = ", ".join(each.__name__ for each in kind.__bases__)
        rows = [
            ("on the wire", error.wire),
            ("sent", error.sent),
            ("again", "yes, if it is idempotent" if error.again else "no"),
            ("", error.why),
            ("what to do", error.cure),
        ]
        lines += [f"### {name}", "", f"*{bases}*. {kind.__doc__.partition(chr(10))[0]}", "", *_table(rows)]
    lines += ["## Stages", "", "`error.stage`: how far the request came.", ""]
    for stage, told in STAGES.items():
        rows = [("on the wire", told.wire), ("sent", told.sent), ("what to do", told.cure)]
        lines += [f"### {stage}", "", *_table(rows)]
    lines += ["## What each call may raise", "", _OF_CALLS, "", "| call | may raise | |", "|---|---|---|"]
    for names, raises, also in _calls():
        links = ", ".join(f"[{name}](#{name.lower()})" for name in raises) or "nothing"
        lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {links} | {also} |")
    return "\n".join(lines) + "\n"


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {label} | {text} |" for label, text in rows if text), ""]


def _calls() -> list[tuple[list[str], tuple[str, ...], str]]:
    """Return the calls, those together that have the same list."""
    found: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, call in CALLS.items():
        found.setdefault((call.raises, call.also), []).append(name)
    return [(names, *key) for key, names in found.items()]


def cli_page() -> str:
    """Return docs/cli.md: each command with its arguments, options and what it prints as help."""
    lines = [*_COMMANDS.splitlines(), ""]
    top = click.Context(command, info_name="workerpool")
    for name in sorted(COMMANDS):
        found = command.get_command(top, name)
        assert found is not None
        lines += _command(click.Context(found, info_name=name, parent=top), 2)
    return "\n".join(lines) + "\n"


def _command(ctx: click.Context, level: int) -> list[str]:
    path = ctx.command_path
    lines = [
        f"{'#' * level} {path}",
        "",
        "```text",
        f"{path} {' '.join(ctx.command.collect_usage_pieces(ctx))}",
        "```",
        "",
    ]
    lines += [*_help(cleandoc(ctx.command.help or "")), ""]
    records = [each.get_help_record(ctx) for each in ctx.command.params if isinstance(each, click.Option)]
    if any(records):
        lines += ["| option | |", "|---|---|"]
        lines += [f"| `{_cell(names)}` | {_cell(about, escape=True)} |" for names, about in filter(None, records)] + [
            ""
        ]
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, name)
            assert found is not None
            lines += _command(click.Context(found, info_name=name, parent=ctx), level + 1)
    return lines


def _help(text: str) -> list[str]:
    """Return a command's help as Markdown: what click leaves as it is, is a block."""
    parts = re.split(r"\n\s*\n", text.strip())
    blocks = [_block(part) if part.startswith("\b") else _escaped(part) for part in parts]
    return "\n\n".join(blocks).splitlines()


def _block(text: str) -> str:
    kept = text.removeprefix("\b").strip("\n")
    return f"```text\n{kept}\n```"


def _escaped(text: str) -> str:
    return re.sub(r"([*_<>])", r"\\\1", text)


def _cell(text: str, *, escape: bool = False) -> str:
    return (_escaped(text) if escape else text).replace("|", "\\|")


PAGES = {"errors.md": errors_page, "cli.md": cli_page}


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (ROOT / "docs" / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
