"""What goes on while a job does: its results, its end, its events; a service that restarts amid is waited for."""

from collections.abc import Iterable, Iterator
from json import loads
from time import monotonic, sleep
from typing import Any

from ...caller.streaming import StreamedResponse
from ...errors import ConnectionLost, DeadlineExceeded
from .calls import Call, Calls, Pauses
from .errors import NotDone, NotFound, ServiceUnavailable, UnexpectedAnswer
from .values import Event, Job, Page, Result

__all__ = ["as_completed", "follow_events", "follow_results", "in_order", "read_body", "read_job", "wait_for"]

_TURN = 20.0  # seconds that the service is asked to wait for news
_FIRST, _LONGEST = 0.02, 1.0  # seconds between two looks at a job


def read_job(calls: Calls, id: str) -> Job:
    """Return a job as it is now."""
    return calls.json(Call("GET", f"/v1/jobs/{id}", about=f"job {id}"), Job.of)


def read_body(calls: Calls, id: str, n: int) -> bytes:
    """Return the bytes of a body."""
    headers = {"Accept": "*/*"}
    return calls.send(
        Call("GET", f"/v1/jobs/{id}/results/{n}/body", headers=headers, about=f"job {id}, result {n}")
    ).content


def follow_results(
    calls: Calls, id: str, *, ok: bool | None, limit: int, follow: bool, timeout: float | None
) -> Iterator[Result]:
    """Yield results in the order they were finished; with `follow` until the job is done."""
    end, cursor = _End(timeout), ""
    while True:
        wait = min(_TURN, end.left(f"job {id}")) if follow else 0.0
        page = _page(calls, id, cursor, ok=ok, limit=limit, wait=wait)
        yield from page.rows
        if page.next is None or not (page.rows or follow):
            return
        cursor = page.next


def _page(calls: Calls, id: str, cursor: str, *, ok: bool | None, limit: int, wait: float) -> Page[Result]:
    params = [("limit", str(limit))]
    params += [("cursor", cursor)] if cursor else []
    params += [] if ok is None else [("ok", str(ok).lower())]
    params += [("wait", f"{wait:.3f}")] if wait else []
    call = Call("GET", f"/v1/jobs/{id}/results", tuple(params), wait=wait, about=f"job {id}")

    def read(job: str, n: int) -> bytes:
        return read_body(calls, job, n)

    return calls.json(
        call, lambda found: Page(tuple(Result.of(id, each, read) for each in found["results"]), found["next"])
    )


def in_order(results: Iterable[Result], total: int) -> Iterator[Result]:
    """Yield results in the order of their requests; those that are finished early wait for their turn."""
    early: dict[int, Result] = {}
    turn = 0
    for result in results:
        early[result.n] = result
        while turn in early:
            yield early.pop(turn)
            turn += 1
    if turn != total:
        raise UnexpectedAnswer(f"the job is done, and request {turn} of {total} has no result")


def wait_for(calls: Calls, id: str, timeout: float | None) -> Job:
    """Return the job once it is done; raises NotDone."""
    return next(as_completed(calls, {id: None}, timeout))


def as_completed(calls: Calls, ids: dict[str, None], timeout: float | None) -> Iterator[Job]:
    """Yield jobs as they are done. One that is gone is told of by NotFound, when all others are done."""
    end, pause, gone, left = _End(timeout), _FIRST, list[NotFound](), dict(ids)
    while left:
        before = len(left)
        for id in list(left):
            try:
                job = read_job(calls, id)
            except NotFound as exc:
                gone.append(exc)
                del left[id]
                continue
            if job.done:
                del left[id]
                yield job
        if left:
            pause = _FIRST if len(left) < before else min(2 * pause, _LONGEST)
            sleep(min(pause, end.left(f"job {next(iter(left))}")))
    if gone:
        raise gone[0]


class _End:
    """When patience is over."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._end = None if timeout is None else monotonic() + timeout

    def left(self, what: str) -> float:
        """Return the seconds that are left; raises NotDone."""
        if self._end is None:
            return float("inf")
        if (left := self._end - monotonic()) <= 0:
            raise NotDone(f"{what} is not done after {self._timeout:g} s; it goes on, and can be waited for again")
        return left


def follow_events(calls: Calls, id: str | None, last: int | None) -> Iterator[Event]:
    """Yield events, each once, whatever happens to the line: of a job until it is done, of all for ever."""
    pauses, kind, idle = Pauses(calls.timeout), "", 0
    if id is None and last is None:  # so that a line which is lost at once misses none
        last = calls.json(Call("GET", "/v1/stats"), lambda found: int(found["last_event"]))
    while True:
        trouble, came = None, 0
        try:
            with calls.stream(_stream(id, last)) as answer:
                pauses = Pauses(calls.timeout)
                for event in _events(answer):
                    if last is None or event.id > last:
                        last, kind, came = event.id, event.kind, came + 1
                        yield event
        except ServiceUnavailable as exc:
            trouble = exc
        # An end that the service has made comes behind `done`; where all was seen before, two with nothing are one.
        idle = 0 if came or trouble is not None else idle + 1
        if trouble is None and id is not None and (kind == "done" or idle > 1) and read_job(calls, id).done:
            return
        pause = 0.0 if came else pauses.next(trouble.retry_after if trouble is not None else None)
        if pause is None:
            raise trouble or ServiceUnavailable(f"{calls.url}: the stream of events ends again and again with nothing")
        sleep(pause)


def _stream(id: str | None, last: int | None) -> Call:
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": str(last)})
    path = "/v1/events" if id is None else f"/v1/jobs/{id}/events"
    return Call("GET", path, headers=headers, about="" if id is None else f"job {id}")


def _events(answer: StreamedResponse) -> Iterator[Event]:
    """Yield the events of one connection; one that is lost has an end like any other."""
    kind = answer.headers.get("Content-Type", "")
    if kind.partition(";")[0].strip().lower() != "text/event-stream":
        raise UnexpectedAnswer(f"events come as {kind!a}, and not as text/event-stream; is that the job service's URL?")
    try:
        for message in answer.iter_events(reconnect=False):
            yield _event(message)
    except (ConnectionLost, DeadlineExceeded):
        return


def _event(message: Any) -> Event:
    try:
        return Event.of(message.id, message.event, loads(message.data))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise UnexpectedAnswer("an event is none of the job service's; is that its URL?") from None
