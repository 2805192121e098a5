"""What a site wishes to be done with what it serves, as robots.txt, an answer's headers and its page say.

    rules.preferences(url)  # what robots.txt says, before anything is asked for
    preferences_of(url, response.headers, response.content, agent="name/1.0", rules=rules)
    refuses(preferences, {"noai"})

Read are Content-Usage (draft-ietf-aipref-attach), Content-Signal, X-Robots-Tag, `<meta name="robots">` and the TDM
Reservation Protocol. They are told as they were written, so that they can be kept beside a result; only what is for
other agents is left out.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from ..policies.robots import RobotsRules, robots_agent

try:
    from selectolax.lexbor import LexborHTMLParser
except ImportError:  # an extra, without which all is told but what the page itself says
    LexborHTMLParser = None  # type: ignore[assignment,misc]

__all__ = ["MAX_HEAD", "preferences_of", "refuses"]

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

MAX_HEAD = 64 * 1024  # bytes of a page in which its meta elements are looked for
_LONGEST = 1000  # characters of one field that are kept
_FIELDS = ("content-usage", "content-signal", "tdm-reservation", "tdm-policy")
_PAGES = ("text/html", "application/xhtml+xml")
_AGENT = re.compile(r"\s*([A-Za-z0-9_*-]+)\s*:\s*(.*)", re.DOTALL)
# Of X-Robots-Tag: what has a colon and is no agent.
_WITH_VALUE = frozenset({"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"})

# What each wish reads as: a key of the first two fields whose answer is no, a word of the others.
_REFUSALS: Mapping[str, frozenset[tuple[str, str]]] = {
    "noai": frozenset(
        {
            ("content-usage", "train-ai"),
            ("content-usage", "train-genai"),  # of earlier drafts, as are these two
            ("content-usage", "genai"),
            ("content-usage", "ai"),
            ("content-usage", "bots"),
            ("content-signal", "ai-train"),
            ("robots", "noai"),
            ("robots", "noimageai"),
            ("tdm-reservation", "1"),
        }
    ),
    "noaiinput": frozenset({("content-usage", "ai-use"), ("content-usage", "ai"), ("content-signal", "ai-input")}),
    "noarchive": frozenset({("robots", "noarchive"), ("robots", "nocache")}),
    "noindex": frozenset(
        {("content-usage", "search"), ("content-signal", "search"), ("robots", "noindex"), ("robots", "none")}
    ),
    "tdm": frozenset({("tdm-reservation", "1")}),
}
_NO = frozenset({"n", "no", "?0"})


def preferences_of(
    url: str,
    headers: Headers,
    body: bytes = b"",
    *,
    agent: str,
    rules: RobotsRules | None = None,
) -> dict[str, str]:
    """Return what is wished for one answer, by field; what several say of the same is joined by commas.

    The fields are `content-usage`, `content-signal`, `x-robots-tag`, `robots` (of the page), `tdm-reservation` and
    `tdm-policy`. Of the body the first 64 KiB are read, if it is a page and selectolax is installed.
    """
    token = _token(agent)
    found: dict[str, list[str]] = {}
    for name, value in rules.preferences(url).items() if rules is not None else ():
        found.setdefault(name, []).append(value)
    content_type = ""
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        name = name.lower()
        if name in _FIELDS:
            found.setdefault(name, []).append(value)
        elif name == "x-robots-tag" and (said := _for_agent(value, token)):
            found.setdefault(name, []).append(said)
        elif name == "content-type":
            content_type = value.partition(";")[0].strip().lower()
    if content_type in _PAGES or not content_type:
        _read_page(body[:MAX_HEAD], token, found)
    return {name: joined for name, values in found.items() if (joined := _joined(values))}


_token = lru_cache(64)(robots_agent)  # the same for each answer of a run


def refuses(preferences: Mapping[str, str], respect: Collection[str]) -> str | None:
    """Return the first wish, by its name, of those to be respected that is spoken out; None if there is none.

    | wish | what says so |
    |---|---|
    | `noai` | `train-ai=n`, `ai-train=no`, `noai`, `noimageai`, `tdm-reservation: 1` |
    | `noaiinput` | `ai-use=n`, `ai-input=no` |
    | `noarchive` | `noarchive`, `nocache` |
    | `noindex` | `search=n`, `search=no`, `noindex`, `none` |
    | `tdm` | `tdm-reservation: 1` |

    Where two statements differ, the one that refuses counts.
    """
    if not preferences or not respect:
        return None
    said = {statement for name, value in preferences.items() for statement in _refusals(name, value)}
    return next((wish for wish in sorted(respect) if not said.isdisjoint(_REFUSALS[wish])), None)


def _refusals(name: str, value: str) -> Iterable[tuple[str, str]]:
    """Yield the field, and what in it is refused or stands alone."""
    name = "robots" if name == "x-robots-tag" else name
    for member in value.lower().split(","):
        key, equals, answer = member.partition(";")[0].partition("=")
        if name in ("content-usage", "content-signal"):
            if equals and answer.strip() in _NO:
                yield name, key.strip()
        else:
            yield name, key.strip()


def _for_agent(value: str, token: str) -> str:
    """Return what an X-Robots-Tag says to all and to this agent; from a name with a colon on it is for that one."""
    kept, is_ours = [], True
    for part in value.split(","):
        match = _AGENT.fullmatch(part)
        if match is not None and match[1].lower() not in _WITH_VALUE:
            is_ours = match[1].lower() in ("*", token)
            part = match[2]
        if is_ours and part.strip():
            kept.append(part.strip())
    return ", ".join(kept)


def _read_page(head: bytes, token: str, found: dict[str, list[str]]) -> None:
    """Add what the meta elements say."""
    # Most of what has no such word needs no parser.
    if LexborHTMLParser is None or b"<meta" not in head.lower():
        return
    for node in LexborHTMLParser(head).css("meta[name][content]"):
        name = (node.attributes.get("name") or "").strip().lower()
        content = node.attributes.get("content") or ""
        if name in ("robots", token):
            found.setdefault("robots", []).append(content)
        elif name in _FIELDS:
            found.setdefault(name, []).append(content)


def _joined(values: list[str]) -> str:
    """Return what was said, each once and on one line, up to a length; what cannot be printed is left out."""
    words = ("".join(filter(str.isprintable, " ".join(value.split()))) for value in values)
    return ", ".join(dict.fromkeys(word for word in words if word))[:_LONGEST]
