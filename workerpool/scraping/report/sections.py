"""The sections of the page, each of which says in plain words what it shows."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from time import gmtime, strftime

from .charts import bar, histogram
from .families import Family
from .figures import Figures
from .tables import Cell, host_key, host_table, safe, table
from .words import CAUSES, FAMILIES, RULES, number_text, seconds_text, size_text, span_text

__all__ = ["head", "sections"]

_PARTS = (("half of them", 0.5), ("9 in 10", 0.9), ("19 in 20", 0.95), ("99 in 100", 0.99), ("all", 1.0))
_MARKS = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_FEW, _MANY = 10, 25
_FIND = "Where there is a state, <code>workerpool why URL --state FILE</code> tells all of one."


def sections(figures: Figures) -> Iterator[str]:
    """Yield the sections but for the head, those with nothing in them left out."""
    for each in (_times, _failed, _durations, _answers, _hosts, _waits, _skipped):
        yield from each(figures)


def head(figures: Figures, title: str, complete: bool | None) -> Iterator[str]:
    """Yield the title, when it was and how it ended, and the numbers that tell the most."""
    first, last = figures.first or 0.0, figures.last or 0.0
    took, under_way = max(last - first, 0.0), figures.timeline.under_way
    yield f"<h1>{safe(title or 'Report of a run')}</h1>"
    left = f"; {number_text(figures.left)} known URLs are left" if figures.left and not complete else ""
    end = {None: "", True: ", and came to its end", False: f", and was stopped before its end{left}"}[complete]
    when = f"from {_clock(first)} to {_clock(last)} UTC ({span_text(took)})" if figures.done else "without an outcome"
    yield f'<p class="soft">It ran {when}{end}.</p>'
    tiles = [(name, number_text(figures.verdicts[name])) for name in ("fetched", "failed", "skipped")]
    tiles += [
        ("tried again", number_text(figures.retried)),
        ("body bytes", _sizes(figures)),
        ("a second", number_text(figures.done / under_way) if under_way and took else "-"),
        ("typical answer", seconds_text(figures.took.percentile(0.5)) if figures.took.count else "-"),
        ("hosts", ("about " if figures.hosts.others else "") + number_text(figures.hosts.known)),
    ]
    yield '<dl class="tiles">'
    yield from (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    yield "</dl>"
    if figures.without_bytes:
        yield '<p class="note">What was read from the state is without sizes: they are of what came since.</p>'


def _times(figures: Figures) -> Iterator[str]:
    yield "<h2>Rate over time</h2><p>How many outcomes came a second. A gap is a time in which the run stood still.</p>"
    yield '<noscript><p class="note">The curves need JavaScript; all else does not.</p></noscript>'
    yield '<div class="chart" data-chart="rate"></div>'
    if figures.looks:
        yield "<h3>Requests under way</h3><p>How many were asked for and not answered yet.</p>"
        yield '<div class="chart" data-chart="flight"></div>'
    if figures.bytes:
        yield '<h3>Bytes a second</h3><p>Bodies, unpacked.</p><div class="chart" data-chart="bytes"></div>'


def _durations(figures: Figures) -> Iterator[str]:
    if not figures.took.count:
        return
    yield "<h2>How long answers took</h2>"
    yield f"<p>From handing a request over until its body was there, of {number_text(figures.took.count)} answers,"
    yield " redirects and answers that were tried again included. Each step to the right is ten times as long.</p>"
    yield histogram(figures.took, [(kind, figures.took.percentile(part)) for kind, part in _MARKS])
    rows = [("answered within", figures.took), ("waited for its turn", figures.waited)]
    heads = [("", "row"), *((name, "n wide" if part == 0.95 else "n") for name, part in _PARTS)]
    yield table(heads, ([name, *(seconds_text(each.percentile(part)) for _, part in _PARTS)] for name, each in rows))
    yield '<p class="note">The lines mark half, 9 in 10 and 99 in 100. All but the last are right within 6 %.</p>'


def _answers(figures: Figures) -> Iterator[str]:
    if not figures.statuses:
        return
    yield "<h2>Statuses</h2><p>With what servers answered in the end.</p>"
    most = max(figures.statuses.values())
    heads = [("status", "name"), ("answers", "n"), ("", "graph")]
    yield table(
        heads,
        (
            [_status(status), number_text(count), Cell(bar(count / most, f"k{status // 100}xx"))]
            for status, count in sorted(figures.statuses.most_common(_MANY))
        ),
    )


def _hosts(figures: Figures) -> Iterator[str]:
    hosts, sizes = figures.hosts, bool(figures.bytes)
    if not len(hosts):
        return
    busiest = hosts.busiest(_MANY)
    yield "<h2>Hosts</h2><p>What became of the URLs of each host: the busiest first.</p>" + host_key()
    yield host_table(busiest, busiest[0].count, sizes=sizes)
    if hosts.others:
        yield f'<p class="note">{number_text(hosts.others)} outcomes of hosts that have few are not told apart, and'
        yield " of such a host that came again later only the later ones are told.</p>"
    if len(hosts) > _FEW and (slowest := hosts.slowest(_FEW)):
        yield "<h3>The slowest hosts</h3><p>By the time that 19 in 20 of their answers stayed within.</p>"
        yield host_table(slowest, max(each.count for each in slowest), sizes=sizes)
    if len(hosts) > _FEW and (worst := hosts.worst(_FEW)):
        yield "<h3>The hosts with the most errors</h3><p>Failed, or answered with a status of 400 or more.</p>"
        yield host_table(worst, max(each.count for each in worst), sizes=sizes)


def _waits(figures: Figures) -> Iterator[str]:
    if not figures.causes:
        return
    yield "<h2>What it waited for</h2><p>Hosts that could not be asked although something was left for them,"
    yield " by what held them up; one host that waits ten seconds counts as much as ten that wait one.</p>"
    most = max(figures.causes.values()) or 1
    heads = [("cause", "name"), ("host-seconds", "n"), ("", "graph")]
    yield table(
        heads,
        (
            [_explained(name), number_text(seconds), Cell(bar(seconds / most, "kwait"))]
            for name, seconds in sorted(figures.causes.items(), key=lambda each: -each[1])
        ),
    )
    yield "<h3>Hosts that waited, over time</h3>"
    yield '<div class="chart" data-chart="waits"></div>'


def _failed(figures: Figures) -> Iterator[str]:
    if figures.failed:
        yield "<h2>What went wrong</h2><p>URLs without an answer, or with one that tells of an error, by its kind."
        yield f" Open one for examples, of as many hosts as there are. {_FIND}</p>"
        yield from _families(figures.failed.values(), FAMILIES)


def _skipped(figures: Figures) -> Iterator[str]:
    if figures.skipped:
        yield "<h2>What was skipped</h2><p>URLs that were never asked for, by the rule that kept them from it.</p>"
        yield from _families(figures.skipped.values(), RULES)


def _families(families: Iterable[Family], words: dict[str, str]) -> Iterator[str]:
    for number, each in enumerate(sorted(families, key=lambda each: -each.count)):
        opened = " open" if number == 0 else ""
        says = words.get(each.name, "a trap: URLs without end" if each.name.startswith("trap:") else "")
        yield f'<details{opened}><summary><span class="n">{number_text(each.count)}</span><b>{safe(each.name)}</b>'
        yield f'<span class="soft">{says}</span></summary><ol>'
        for example in each.examples:
            tries = f", {example.attempts} tries" if example.attempts > 1 else ""
            said = f'<br><span class="soft">{safe(example.message)}</span>' if example.message else ""
            where = f'<span class="note">input {example.index}{tries}</span>'
            yield f"<li><code>{safe(example.url)}</code> {where}{said}</li>"
        yield "</ol></details>"


def _sizes(figures: Figures) -> str:
    if not figures.without_bytes:
        return size_text(figures.bytes)
    return f"at least {size_text(figures.bytes)}" if figures.bytes else "not known"


def _explained(cause: str) -> Cell:
    return Cell(f'{safe(cause)} <span class="note">{safe(CAUSES.get(cause, ""))}</span>')


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _clock(time: float) -> str:
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(time))
