"""`workerpool explain`: what an error, a stage or a call means, without a network."""

from difflib import get_close_matches

import click

from ..explanations import CALLS, ERRORS, STAGES

__all__ = ["explain"]

_NAMES = {name.lower(): name for name in [*ERRORS, *STAGES, *CALLS]}


@click.command()
@click.argument("name", required=False)
def explain(name: str | None) -> None:
    """Explain NAME: an error, a stage, both as in TLSError:tls, or a call; without it, list them.

    \b
    workerpool explain TLSError
    workerpool explain ConnectionLost:headers
    workerpool explain pool.stream
    """
    if name is None:
        for kind, names in (("errors", ERRORS), ("stages", STAGES), ("calls", CALLS)):
            click.echo("\n".join(_row(kind, ", ".join(names))))
        return
    parts = [_known(part) for part in name.split(":")]
    click.echo("\n\n".join("\n".join(_lines(part)) for part in parts))


def _known(given: str) -> str:
    """Return the name as it is spelt here; raises UsageError with those that are near."""
    plain = given.strip().lower()
    for each in (plain, plain.rpartition(".")[2]):
        if each in _NAMES:
            return _NAMES[each]
    near = [_NAMES[each] for each in get_close_matches(plain, _NAMES, 3, 0.5)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; `workerpool explain` lists all"
    raise click.UsageError(f"there is no error, stage or call named {given!r}{hint}")


def _lines(name: str) -> list[str]:
    if call := CALLS.get(name):
        raises = ", ".join(call.raises) or "nothing of the pool's"
        return [name, *_row("may raise", raises), *_row("also", call.also)]
    if stage := STAGES.get(name):
        rows = [("the wire", stage.wire), ("sent", stage.sent), ("what to do", stage.cure)]
        return [f"stage {name}", *(line for row in rows for line in _row(*row))]
    error = ERRORS[name]
    again = "yes, if it is idempotent, as Retry says" if error.again else "no"
    rows = [
        ("the wire", error.wire),
        ("sent", error.sent),
        ("again", again),
        ("", error.why),
        ("what to do", error.cure),
    ]
    return [name, *(line for row in rows for line in _row(*row))]


def _row(label: str, text: str) -> list[str]:
    """Return a label with its text beside it, wrapped; nothing where there is no text."""
    begin = f"  {label:12}"
    return click.wrap_text(text, 100, begin, " " * len(begin)).splitlines() if text else []
