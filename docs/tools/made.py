"""The pages that are made of what the package knows: `python docs/tools/made.py` writes them, a test compares."""

import re
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import click

import workerpool
import workerpool.cluster.errors as of_clusters
from workerpool.cli.defaults import COMMANDS as SETTABLE
from workerpool.cli.defaults import names_of, shown
from workerpool.explanations import CALLS, ERRORS, STAGES
from workerpool.scraping import errors as of_runs
from workerpool.service.app import openapi
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
_CONFIGURATION = f"""# Each setting

{_MADE.format("the commands themselves")}

Flags come before the environment, that before `./workerpool.toml`, that before the user's file, that before the
defaults. In a file a setting at the top is for all commands that have it, one in the table of a command for that one:

```toml
connections = 50

[fetch]
per-host = 2
```

A variable's name with the command's is for that one, `WORKERPOOL_FETCH_RATE`; without it, `WORKERPOOL_RATE`, for all.
Of a setting that may be given several times each line of the variable is a value. `--config FILE` names another file,
in the place of the folder's; `workerpool config show COMMAND` shows each value and where it comes from. The file of a
folder may be anybody's, so what leads requests elsewhere, sends secrets or writes outside of the folder is not taken
from it.
"""
_SERVICE = f"""# Each call of the job service

{_MADE.format("the OpenAPI document")}

A running service has the document itself at `/openapi.json`. What the calls mean, and in which order they are used, is
in [service.md](service.md). Each answer of status 400 or more is a problem of RFC 9457.
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


def configuration_page() -> str:
    """Return docs/configuration.md: each setting of each command, as files and the environment have it."""
    lines = [*_CONFIGURATION.splitlines(), ""]
    top = click.Context(command, info_name="workerpool")
    for name in SETTABLE:
        found = command.get_command(top, name)
        assert found is not None
        ctx = click.Context(found, info_name=name, parent=top)
        lines += [
            f"## {name}",
            "",
            "| setting | variable | default | in a folder's file | |",
            "|---|---|---|---|---|",
        ]
        for each in found.params:
            setting, variables, is_free = names_of(each, ctx)
            if setting and isinstance(each, click.Option):
                default = str(each.default).lower() if isinstance(each.default, bool) else shown(each, each.default)
                free = "yes" if is_free else "no"
                text = _cell(each.help or "", escape=True)
                lines.append(f"| `{setting}` | `{variables[0]}` | {_cell(default, escape=True)} | {free} | {text} |")
        lines.append("")
    return "\n".join(lines)


def service_page() -> str:
    """Return docs/service-api.md: each call of the job service, by its OpenAPI document."""
    document = openapi()
    lines = [*_SERVICE.splitlines(), "", document["info"]["description"], ""]
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            about = f"{call['summary']}. {call.get('description', '')}".strip()
            lines += [f"## {method.upper()} {path}", "", about, "", *_takes(call), *_answers(call)]
    lines += ["# Values", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"## {name}", ""]
        if text := schema.get("description"):
            lines += [_escaped(" ".join(text.split())), ""]
        if schema.get("properties"):
            lines += [*_fields(schema), ""]
        elif "enum" in schema:
            lines += [_kind(schema), ""]
    return "\n".join(lines)


def _takes(call: dict[str, Any]) -> list[str]:
    lines = []
    for each in call.get("parameters", ()):
        about = _cell(each.get("description", ""), escape=True)
        lines.append(f"| `{each['name']}` | {each['in']} | {_kind(each['schema'])} | {about} |")
    for media, each in call.get("requestBody", {}).get("content", {}).items():
        lines.append(f"| body | `{media}` | {_kind(each.get('schema', {}))} | |")
    return ["| takes | | type | |", "|---|---|---|---|", *lines, ""] if lines else []


def _answers(call: dict[str, Any]) -> list[str]:
    """Return a table of the answers; problems together, but for those that say something of their own."""
    lines, problems = [], []
    for status, each in sorted(call["responses"].items()):
        if status.startswith("4") or status == "503":
            problems.append(status)
        else:
            lines.append(f"| {status} | {each['description']}{_media(each)} |")
    return ["| answer | |", "|---|---|", *lines, f"| {', '.join(problems)} | [Problem](#problem) |", ""]


def _fields(schema: dict[str, Any]) -> list[str]:
    needed = schema.get("required", ())
    lines = []
    for name, each in schema["properties"].items():
        about = _cell(each.get("description", ""), escape=True)
        lines.append(f"| `{name}`{'' if name in needed else ', optional'} | {_kind(each)} | {about} |")
    return ["| field | type | |", "|---|---|---|", *lines]


def _media(response: dict[str, Any]) -> str:
    found = [f"{_kind(each.get('schema', {}))} as `{media}`" for media, each in response.get("content", {}).items()]
    told = [each for each in found if "problem+json" not in each]
    return f": {', '.join(told)}" if told else ""


def _kind(schema: dict[str, Any]) -> str:
    """Return a schema's type in a few words, with a link where it has a name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_kind, options)))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


PAGES = {
    "errors.md": errors_page,
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "service-api.md": service_page,
}


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (ROOT / "docs" / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
