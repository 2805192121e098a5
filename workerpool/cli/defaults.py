"""Where the values of options come from: flags, the environment, `./workerpool.toml`, the user's file, defaults.

The file of a folder may be anybody's, of an archive that was unpacked, say. So it sets nothing by which it could have
requests led elsewhere, secrets sent or files overwritten; `--config FILE` names one that is trusted.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..redaction import HIDDEN, redact

__all__ = ["COMMANDS", "Command", "Option", "files", "names_of", "not_taken", "option", "origin_of", "shown"]

F = TypeVar("F", bound=Callable[..., Any])

_ACTS = frozenset({"restart", "resume", "again", "dry_run"})  # what is done, and no setting: for the command line only
_SECRETS = frozenset({"headers", "data", "proxy", "token"})
# Not taken from a folder's file. Inputs neither: headers that are given go to each URL.
_OWN = frozenset({
    "proxy", "insecure", "headers", "method", "data", "source", "sign", "sign_as", "host", "public_hosts",
    "allow_addresses", "url", "token", "token_file", "webhook",
})  # fmt: skip
_PLACES = frozenset({"outputs", "save", "state", "report", "database"})  # taken from it where they are in the folder
_PREFIX = "WORKERPOOL_"
_CONFIG = "workerpool.config"  # of a context: the file that was named
COMMANDS = (
    "cancel", "crawl", "fetch", "results", "retry", "serve", "status", "submit", "watch", "work",
)  # those that have settings  # fmt: skip


class Option(click.Option):
    """An option that the environment may set: `WORKERPOOL_FETCH_RATE` for one command, `WORKERPOOL_RATE` for all.

    Of one that may be given several times each line of the variable is a value.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the first variable that is set, and not to nothing."""
        return next((os.environ[name] for name in _variables(self, ctx) if os.environ.get(name)), None)

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return the value, or those of each line."""
        value = self.resolve_envvar_value(ctx)
        if value is None or not self.multiple:
            return value
        return tuple(line for line in value.splitlines() if line.strip())


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Return the decorator that gives a command an option, whose default may come from a file or the environment."""
    return click.option(*names, cls=Option, **attributes)


class Command(click.Command):
    """A command whose options the files of settings may set, and the environment above them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(
                ["--config"], type=click.Path(exists=True, dir_okay=False), is_eager=True, expose_value=False,
                callback=_take_files, metavar="FILE",
                help="Settings from there, in the place of ./workerpool.toml; all of them are taken.",
            )
        )  # fmt: skip


def files(named: str | None = None) -> tuple[Path, ...]:
    """Return the files of settings, the one that counts most first: the one that was named, or that of the folder."""
    return Path(named or "workerpool.toml"), Path(click.get_app_dir("workerpool")) / "config.toml"


def not_taken(command: click.Command) -> list[str]:
    """Return the options of a command that a folder's file does not set, as they are typed."""
    return sorted(f"--{_typed(each)}" for each in command.params if each.name in _OWN)


def _take_files(ctx: click.Context, _parameter: click.Parameter, named: str | None) -> None:
    """Have what the files say as defaults; before all other options are looked at."""
    if not ctx.resilient_parsing:
        ctx.meta[_CONFIG] = named
        ctx.default_map = _from_files(ctx.command, named)


def origin_of(ctx: click.Context, parameter: click.Parameter) -> str:
    """Return where a value comes from, as a person would look it up."""
    source = ctx.get_parameter_source(parameter.name or "")
    if source is ParameterSource.ENVIRONMENT:
        return next(name for name in _variables(parameter, ctx) if os.environ.get(name))
    if source is ParameterSource.DEFAULT_MAP and isinstance(ctx.command, Command):
        named = ctx.meta.get(_CONFIG)
        return next(str(place) for place in files(named) if parameter.name in _read(place, ctx.command, named))
    return "default"


def names_of(parameter: click.Parameter, ctx: click.Context) -> tuple[str, tuple[str, ...], bool]:
    """Return what a setting is called in files, by which variables it is set, and whether a folder's file may set it.

    Empty of what is no setting.
    """
    if not isinstance(parameter, Option) or parameter.name in _ACTS:
        return "", (), False
    return _typed(parameter), _variables(parameter, ctx), parameter.name not in _OWN


def shown(parameter: click.Parameter, value: Any) -> str:
    """Return a value as it can be shown to anybody."""
    empty = value is None or value == () or repr(value).startswith("Sentinel")
    if empty:
        return "-"
    if parameter.name in _SECRETS:
        return HIDDEN
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _variables(parameter: click.Parameter, ctx: click.Context) -> tuple[str, ...]:
    name = (parameter.name or "").upper()
    if parameter.name in _ACTS:
        return ()
    return f"{_PREFIX}{(ctx.info_name or '').upper()}_{_word(parameter)}", f"{_PREFIX}{_word(parameter) or name}"


def _word(parameter: click.Parameter) -> str:
    """Return the name of an option as it is typed, in the form of a variable."""
    return _typed(parameter).upper().replace("-", "_")


def _typed(parameter: click.Parameter) -> str:
    return next((each[2:] for each in parameter.opts if each.startswith("--")), parameter.name or "")


def _from_files(command: click.Command, named: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in reversed(files(named)):
        found |= _read(place, command, named)
    return found


def _read(place: Path, command: click.Command, named: str | None) -> dict[str, Any]:
    """Return what a file says for a command, by the options' names; raises a usage error for what is none."""
    try:
        text = place.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"{place} cannot be read: {exc}; mend or remove it") from None
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise click.UsageError(f"{place} is no TOML: {exc}") from None
    found = dict(_checked(place, given, command))
    if named is None and place == files()[0]:
        _check_harmless(place, found, command)
    return found


def _check_harmless(place: Path, found: Mapping[str, Any], command: click.Command) -> None:
    """Raise a usage error for what the file of a folder may not set."""
    for parameter in command.params:
        name = parameter.name or ""
        if name in _OWN & found.keys():
            raise click.UsageError(
                f"{place}: {_typed(parameter)} is not taken from the file of a folder, which may be anybody's; give it"
                f" as --{_typed(parameter)}, in {files()[1]}, or say that this file is trusted: --config {place}"
            )
        values = found.get(name, ()) if name in _PLACES else ()
        for value in [values] if isinstance(values, str) else values:
            if value != "-" and ("://" in value or not Path(value).resolve().is_relative_to(Path.cwd().resolve())):
                raise click.UsageError(
                    f"{place}: {_typed(parameter)} is {redact(value)!r}, which is outside of the folder; give it as"
                    f" --{_typed(parameter)}, or say that this file is trusted: --config {place}"
                )


def _checked(place: Path, given: Mapping[str, Any], command: click.Command) -> Iterator[tuple[str, Any]]:
    options = {_typed(each): each for each in command.params if isinstance(each, Option) and each.name not in _ACTS}
    for name, value in given.items():
        _check_name(place, name, value)
        if not isinstance(value, dict) and name.replace("_", "-") in options:
            yield _converted(place, options[name.replace("_", "-")], value)
    own = given.get(command.name or "", {})
    if not isinstance(own, dict):
        raise click.UsageError(f"{place}: {command.name} is a table: [{command.name}]")
    for name, value in own.items():
        if name.replace("_", "-") not in options:
            raise click.UsageError(f"{place}: [{command.name}] has no setting {name}; there are {', '.join(options)}")
        yield _converted(place, options[name.replace("_", "-")], value)


def _check_name(place: Path, name: str, value: Any) -> None:
    """Raise a usage error for what no command has."""
    if isinstance(value, dict):
        if name not in COMMANDS:
            raise click.UsageError(f"{place}: there is no table [{name}]; there are {', '.join(COMMANDS)}")
        return
    commands = (getattr(import_module(f"{__package__}.{each}"), each) for each in COMMANDS)
    if not any(name.replace("_", "-") == _typed(each) for command in commands for each in command.params):
        raise click.UsageError(f"{place}: no command has a setting {name}")


def _converted(place: Path, parameter: Option, value: Any) -> tuple[str, Any]:
    if parameter.multiple and not isinstance(value, list):
        value = [value]
    try:
        with click.Context(click.Command("settings")) as ctx:
            parameter.type_cast_value(ctx, value)
    except (click.BadParameter, TypeError, ValueError) as exc:
        told = exc.format_message() if isinstance(exc, click.BadParameter) else str(exc)
        raise click.UsageError(f"{place}: {_typed(parameter)}: {told}") from None
    return parameter.name or "", value
