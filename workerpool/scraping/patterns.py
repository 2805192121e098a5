"""Regular expressions from outside that are run over text from servers, which nobody can stop once they run."""

import re
from dataclasses import dataclass

__all__ = ["compiled"]

_UNIT = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"  # one character, or a set of them
    r"|\((?:\?(?:P<\w+>|[:=!>]|<[=!]|[aiLmsux-]+[:)]|#[^)]*\)|P=\w+\)|\())?"  # a group begins
    r"|.",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?:[*+?]|\{\d+\}|\{\d*,\d*\})[+?]?")


@dataclass(slots=True)
class _Group:
    """A group that is open: whether a match of it could be cut up in more than one way."""

    atomic: bool = False
    ambiguous: bool = False


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; raises ValueError for what is none, and for one that could run for ever.

    That is a repetition of what holds a repetition or a choice, as `(a+)*` and `(a|b)*` do: it may try more ways than
    there is time for. A possessive one, `(?:a|b)*+`, has one way only and is taken. What grows with the square of
    the text, as `.*x.*y` does, is not found.
    """
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{pattern!a} is no regular expression: {exc}") from None
    if _may_explode(pattern):
        raise ValueError(
            f"{pattern!a} repeats what holds a repetition or a choice, which may never end; make it possessive: (...)*+"
        )
    return found


def _may_explode(pattern: str) -> bool:
    groups = [_Group()]
    place = 0
    while place < len(pattern):
        unit = _UNIT.match(pattern, place)
        if unit is None:
            return True
        place = unit.end()
        text = unit[0]
        closed: _Group | None = None
        if text == "|":
            groups[-1].ambiguous = True
        elif text == ")" and len(groups) > 1:
            closed = groups.pop()
        elif text.startswith("(") and not text.endswith(")"):
            groups.append(_Group(atomic=text == "(?>"))
            continue
        repeat = _REPEAT.match(pattern, place)
        place = repeat.end() if repeat else place
        several = repeat is not None and not repeat[0].startswith("?")
        possessive = repeat is not None and len(repeat[0]) > 1 and repeat[0].endswith("+")
        inside = closed is not None and closed.ambiguous and not closed.atomic
        if several and inside and not possessive:
            return True
        if (inside or _varies(repeat)) and not possessive:
            groups[-1].ambiguous = True
    return False


def _varies(repeat: re.Match[str] | None) -> bool:
    """Whether it may match more or less of the same text."""
    return repeat is not None and (repeat[0][0] != "{" or "," in repeat[0])
