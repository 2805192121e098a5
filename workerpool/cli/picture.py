"""The lines of the view of a run, as wide as there is room."""

from collections.abc import Iterable
from itertools import islice

from rich.text import Text

from ..scraping.progress import HostProgress
from ..scraping.report.words import clean, number_text, size_text, span_text
from .estimate import Estimate

__all__ = ["line", "picture"]

_HOSTS = 5
_NARROW = 60  # columns; below that only what fits into one
_WIDEST = 110  # of the bar's line: beyond that the eye has too far to go
_STYLES = {"2xx": "green", "3xx": "cyan", "4xx": "yellow", "5xx": "red", "failed": "red"}


def picture(seen: Estimate, width: int, *, plain: bool = False) -> list[Text]:
    """Return the lines for a terminal, none longer than `width`; `plain` is ASCII."""
    if not seen.now.at:
        return [Text("starting ...", style="dim")]
    lines = [_head(seen, min(width, _WIDEST), "#-" if plain else "━─")]
    lines += [each for name, parts in _rows(seen) if parts for each in _row(name, parts, width)]
    lines += [_host(each, number, width) for number, each in enumerate(islice(_slowest(seen), _HOSTS))]
    return lines


def line(seen: Estimate) -> str:
    """Return how the run stands in one plain line."""
    now = seen.now
    parts = [
        f"{span_text(now.seconds)}: {number_text(seen.finished)} of {number_text(seen.known)}"
        + ("+" if seen.is_growing else ""),
        f"{number_text(seen.rate)}/s",
        f"{number_text(now.in_flight)} under way",
        *([f"{len(now.workers)} workers"] if now.workers else []),
        f"{number_text(now.failed)} failed",
        *(["waiting: " + ", ".join(_causes(seen))] if now.causes else []),
        _end(seen),
    ]
    return ", ".join(parts)


def _head(seen: Estimate, width: int, marks: str) -> Text:
    known, plus = seen.known, "+" if seen.is_growing else ""
    told = f"{number_text(seen.finished)} of {number_text(known)}{plus}"
    end = _end(seen)
    room = width - len(told) - len(end) - 4
    part = min(seen.finished / known, 1.0) if known else 0.0
    if room < 8:
        return _cut(Text.assemble((told, "bold"), f"  {end}"), width)
    filled = round(part * room)
    bar = ((marks[0] * filled, "blue"), (marks[1] * (room - filled), "bright_black"))
    return Text.assemble((told, "bold"), "  ", *bar, "  ", end)


def _end(seen: Estimate) -> str:
    """Return when it may be done, and whether that is only the least."""
    left = seen.left
    if left is None:
        return "end not known yet"
    if seen.is_bounded:
        return f"{span_text(left)} to the budget's end"
    return f"at least {span_text(left)} left" if seen.is_growing else f"{span_text(left)} left"


def _rows(seen: Estimate) -> Iterable[tuple[str, list[str | tuple[str, str]]]]:
    now = seen.now
    rates = [f"{number_text(seen.rate)}/s", f"{size_text(seen.byte_rate)}/s"]
    sums = [f"{size_text(now.bytes)} so far", f"{span_text(now.seconds)} gone"]
    yield "rate", [*rates, f"{number_text(now.in_flight)} under way", *sums]
    found: dict[str, int] = {**dict(sorted(now.statuses.items())), "failed": now.failed}
    told: list[str | tuple[str, str]] = [
        (f"{name} {number_text(count)}", _STYLES.get(name, "")) for name, count in found.items() if count
    ]
    told += [
        f"{name} {number_text(count)}" for name, count in (("skipped", now.skipped), ("retried", now.retried)) if count
    ]
    yield "answers", told
    yield "workers", [f"{clean(name)} {number_text(count)}" for name, count in now.workers.items()]
    yield "waiting", list(_causes(seen))
    yield "budget", list(_budget(seen))


def _causes(seen: Estimate) -> Iterable[str]:
    found = sorted(seen.now.causes.items(), key=lambda each: -each[1])
    return (f"{cause} {number_text(hosts)} host{'s' if hosts > 1 else ''}" for cause, hosts in found)


def _budget(seen: Estimate) -> Iterable[str]:
    now = seen.now
    if now.max_pages is not None:
        yield f"{number_text(max(now.max_pages - now.fetched - now.failed, 0))} pages left"
    if now.max_seconds is not None:
        yield f"{span_text(max(now.max_seconds - now.seconds, 0))} left"
    if now.max_bytes is not None:
        yield f"{size_text(max(now.max_bytes - now.bytes, 0))} left"


def _slowest(seen: Estimate) -> Iterable[HostProgress]:
    return (each for each in seen.now.hosts if each.cause or each.waiting)


def _row(name: str, parts: list[str | tuple[str, str]], width: int) -> list[Text]:
    """Return the parts in a line, in two where one is too short for them; what fits into neither is left out."""
    begin, gap = (9, 3) if width >= _NARROW else (0, 2)
    lines = [Text(f"{name:<{begin}}"[:begin], style="dim")]
    for part in parts:
        said, style = (part, "") if isinstance(part, str) else part
        if lines[-1].cell_len > begin and lines[-1].cell_len + gap + len(said) > width:
            if len(lines) > 1:
                break
            lines.append(Text(" " * begin))
        lines[-1].append(" " * gap if lines[-1].cell_len > begin else "")
        lines[-1].append(said, style or "not dim")
    return [_cut(each, width) for each in lines]


def _host(each: HostProgress, number: int, width: int) -> Text:
    name = clean(each.host.removesuffix(":443").removesuffix(":80"))
    told = f"{number_text(each.waiting):>7} wait, {number_text(each.in_flight)} under way"
    why = f"{each.cause} {span_text(each.due_in)}" if each.due_in >= 1 else each.cause
    if width < _NARROW:
        room = max(width - 20, 10)
        return _cut(Text(f"{_short(name, room):<{room}} {why or told.strip()}"), width)
    room = max(18, min(48, width - 60))
    head = ("slowest  " if number == 0 else " " * 9, "dim")
    return _cut(Text.assemble(head, f"{_short(name, room):<{room}} ", f"{told:<28}  ", (why, "yellow")), width)


def _cut(text: Text, width: int) -> Text:
    text.no_wrap = True
    text.truncate(width)
    return text


def _short(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 2]}.."
