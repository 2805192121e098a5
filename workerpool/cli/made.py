"""The parts of a run, made of what was given to a command; what cannot be is a usage error with the option's name."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from ..errors import InvalidRequest
from ..scraping.errors import SinkError
from ..scraping.politeness import Politeness
from ..scraping.sinks.base import Sink
from ..scraping.sinks.choice import SUFFIXES, folder_for, sink_for
from ..scraping.sinks.jsonl import JsonLines
from ..scraping.telling import Signs
from .given import pairs

__all__ = ["fields_of", "made_extractor", "made_politeness", "made_signer", "made_sinks", "own_headers", "output_names"]

_WITH_BODY = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".parquet")


def output_names(given: Mapping[str, Any]) -> list[str]:
    """Return the files that rows go to; stdout where no place is given at all."""
    names = list(given["outputs"]) or ([] if given["save"] else ["-"])
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"-o {name!r} is given twice; give each output once")
        if "," in name:
            raise click.UsageError(f"-o {name!r} has a comma in it; give one without")
    return names


def made_sinks(given: Mapping[str, Any], names: Iterable[str]) -> list[Sink]:
    """Return a sink for each output, and the one that saves bodies."""
    try:
        found = [_sink(name, given) for name in names]
        return [*found, _folder(given)] if given["save"] else found
    except (SinkError, ImportError, ValueError) as exc:
        raise click.UsageError(str(exc)) from None


def _folder(given: Mapping[str, Any]) -> Sink:
    """Return the sink that saves bodies; where it is to know of earlier runs it keeps what they have noted."""
    keeps = bool(given["since"] or given.get("again") or given.get("skip_existing"))
    is_local = "://" not in given["save"] or given["save"].startswith("file://")
    if given.get("skip_existing") and not is_local:
        raise click.UsageError("--skip-existing looks into a folder of this machine; give such a one to --save")
    if not is_local:
        return folder_for(given["save"])
    return folder_for(given["save"], keep=keeps, stream=_may_stream(given), largest=given.get("max_filesize"))


def _may_stream(given: Mapping[str, Any]) -> bool:
    """Whether bodies are wanted as files alone: then large ones need not be held in memory."""
    archives = any(name.lower().endswith((".warc", ".warc.gz", ".wacz")) for name in given["outputs"])
    return given["is_list"] and not (archives or given["body"] or given["extracts"])


def _sink(name: str, given: Mapping[str, Any]) -> Sink:
    lower = name.lower()
    options: dict[str, Any] = {"body": True} if given["body"] and (name == "-" or lower.endswith(_WITH_BODY)) else {}
    if lower.endswith((".csv", ".csv.gz")):
        options["extracted"] = [*fields_of(given), *(["body"] if given["body"] else [])]
    if name == "-" or lower.endswith(tuple(SUFFIXES)):
        return sink_for(name, **options)
    return JsonLines(name, body=given["body"])


def fields_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields to extract; raises a usage error."""
    if not given["extracts"]:
        return {}
    try:
        from ..scraping.extracting import parse_fields  # an extra

        return parse_fields(given["extracts"])
    except (ValueError, ImportError) as exc:
        raise click.UsageError(f"--extract: {exc}") from None


def made_extractor(given: Mapping[str, Any]) -> Any:
    """Return what takes the fields of an answer, or None."""
    fields = fields_of(given)
    if not fields:
        return None
    from ..scraping.extracting import Extractor  # an extra

    return Extractor(fields)


def made_politeness(given: Mapping[str, Any]) -> Politeness:
    """Return how hosts are treated; raises a usage error."""
    agent = next((value for name, value in pairs(given["headers"]) if name.lower() == "user-agent"), None)
    options = {name: given[name] for name in ("per_host", "per_host_rate", "delay", "auto", "contact", "robots")}
    if agent is not None:
        options["agent"] = agent
    try:
        return Politeness(respect=frozenset(given["respects"]), **options)
    except InvalidRequest as exc:
        name, rest = str(exc).partition(" ")[::2]
        typed = "-H User-Agent" if name == "agent" else f"--{name.replace('_', '-')}"
        raise click.UsageError(f"{typed} {rest}") from None


def own_headers(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers that were given, but the one that says who asks."""
    return tuple((name, value) for name, value in pairs(given["headers"]) if name.lower() != "user-agent")


def made_signer(given: Mapping[str, Any]) -> Signs | None:
    """Return what signs requests, or None; raises a usage error."""
    key, agent = given["sign"], given["sign_as"]
    if key is None:
        return None
    if agent is None:
        raise click.UsageError("--sign needs --sign-as URL: the https site with the key's directory")
    try:
        from ..scraping.signing import Signer  # an extra

        return Signer.load(key, agent)
    except OSError as exc:
        raise click.UsageError(
            f"--sign {key!r} cannot be read: {exc.strerror}; workerpool identity makes one"
        ) from None
    except (ValueError, ImportError) as exc:
        raise click.UsageError(f"--sign: {exc}") from None
