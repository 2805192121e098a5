"""Jobs and results as tables on a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..scraping.sinks.text import defused
from ..service import Job, Result

__all__ = ["job_table", "show", "show_jobs", "show_results"]

_COLOURS = {"succeeded": "green", "partial": "yellow", "failed": "red", "running": "cyan", "cancelled": "dim",
            "expired": "dim"}  # fmt: skip
_AT_ONCE = 200  # rows whose widths are chosen together


def show(table: Table) -> None:
    """Write a table on stdout."""
    Console(highlight=False).print(table)


def show_jobs(jobs: Iterable[Job]) -> None:
    """Write a table of jobs on stdout."""
    show(job_table(jobs))


def job_table(jobs: Iterable[Job]) -> Table:
    """Return a table of jobs."""
    table = _table("job", "state", "done", "failed", "lane", "age", "labels", "waiting for")
    for job in jobs:
        counts, labels = job.counts, ", ".join(f"{name}:{value}" for name, value in job.labels.items())
        done = f"{counts.done}/{counts.total}"
        cells = (job.id, job.state, done, str(counts.failed), job.lane, _age(job.created_at), labels, job.waiting_for)
        table.add_row(*_cells(cells, job.state))
    return table


def show_results(results: Iterable[Result]) -> bool:
    """Write tables of results on stdout; returns whether all were good."""
    good, rows = True, list[Result]()
    for result in results:
        good = good and result.ok
        rows.append(result)
        if len(rows) == _AT_ONCE:
            show(_result_table(rows))
            rows = []
    if rows:
        show(_result_table(rows))
    return good


def _result_table(results: Sequence[Result]) -> Table:
    table = _table("n", "status", "bytes", "seconds", "tries", "URL", "error")
    for result in results:
        status = "-" if result.status is None else str(result.status)
        size = "-" if result.body is None else str(result.body.size)
        seconds = "-" if result.elapsed is None else f"{result.elapsed:.3f}"
        cells = (str(result.n), status, size, seconds, str(len(result.attempts)), result.url, result.error)
        table.add_row(*_cells(cells, "succeeded" if result.ok else "failed"))
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _cells(values: Sequence[object], state: str) -> list[Text]:
    found = [Text("" if each is None else defused(str(each))) for each in values]
    found[1].stylize(_COLOURS.get(state, ""))
    return found


def _age(moment: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
