"""How a caller's thread waits for jobs: for one, for many in their order."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from time import monotonic
from typing import Any, TypeVar

from ..handover.job import Blocking, Job
from .streaming import StreamedResponse

__all__ = ["awaited_head_of", "begun", "first_of", "head_of", "in_order", "seconds_left"]

T = TypeVar("T")


def seconds_left(end: float | None) -> float | None:
    """Return the seconds until then, as a lock takes them: none below 0, none too many; None for no end."""
    return None if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX)


def head_of(work: Blocking) -> StreamedResponse:
    """Block for the head of a streamed answer; whatever interrupts the wait gives the stream up."""
    try:
        response: StreamedResponse = work.wait()
    except BaseException:
        if (verdict := work.verdict) is not None and verdict[0] == "succeeded":
            verdict[1].close()  # it came just now, and nobody else would
        raise
    work.hand_out()  # it is the reader's alone
    return response


async def awaited_head_of(job: "Job[StreamedResponse]") -> StreamedResponse:
    """Wait for the same on any loop; a response that comes beside a cancel is closed when it is collected."""
    response = await job
    job.hand_out()
    return response


def begun(begin: "Callable[[T], Job[Any]]", calls: Iterator[T]) -> "Iterator[Future[Any]]":
    """Begin a job for each of the calls; what is raised by them, or on the way, comes in its place and ends them."""
    try:
        for call in calls:
            yield begin(call)
    except Exception as exc:  # noqa: BLE001  raised where the result would be
        failed: Future[Any] = Future()
        failed.set_exception(exc)
        yield failed


def first_of(more: "Iterator[Future[Any]]", size: int) -> "deque[Future[Any]]":
    """Begin so many jobs; raises what kept the very first from beginning."""
    jobs: deque[Future[Any]] = deque()
    try:
        jobs.extend(islice(more, size))
        if jobs and not isinstance(jobs[0], Job):
            jobs[0].result()
    except BaseException:
        _cancel(jobs)
        raise
    return jobs


def in_order(jobs: "deque[Future[Any]]", more: "Iterator[Future[Any]]", deadline: float | None) -> Iterator[Any]:
    """Yield the results in the order of the jobs, and begin another job for each; cancels what is left at the end."""
    try:
        while jobs:
            # Not kept in a name: it is the reader's alone while the next one is waited for.
            yield _next(jobs, more, deadline)
    finally:
        _cancel(jobs)


def _next(jobs: "deque[Future[Any]]", more: "Iterator[Future[Any]]", deadline: float | None) -> Any:
    result = jobs[0].result(seconds_left(deadline))
    jobs.popleft()
    jobs.extend(islice(more, 1))
    return result


def _cancel(jobs: "Iterable[Future[Any]]") -> None:
    for job in jobs:
        job.cancel()
