"""The job service's client."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, islice
from json import dumps
from types import TracebackType
from typing import Any, Self, TypeAlias

from ...caller.pool import WorkerPool
from ...messages.request import Request
from ...redaction import redact
from . import following
from .calls import Call, Calls
from .checks import (
    checked_flag,
    checked_id,
    checked_jobs,
    checked_labels,
    checked_name,
    checked_number,
    checked_seconds,
    checked_text,
    checked_token,
    checked_url,
    checked_whole,
    joined,
    wrong,
)
from .errors import Conflict, NotFound
from .submission import MOST, checked_fields, submission
from .values import Delivery, Event, Explanation, Job, LaneState, Page, Result, ServiceStats

__all__ = ["Client"]

RequestLike: TypeAlias = str | Request | Mapping[str, Any]
Requests: TypeAlias = RequestLike | Iterable[RequestLike]
Seconds: TypeAlias = float | timedelta

_STATES = ("queued", "running", "succeeded", "partial", "failed", "cancelled", "expired")
_PAGE = 500
_NONE: Any = object()


class Client:
    """Call a job service; blocking, from any thread. `Client("http://127.0.0.1:8765", token)`.

    `timeout` is how long one call may take, with the tries that are made while the service is away or asks for a pause
    (429, 503). Methods that follow a job take as long as that does, and bear a service that is away for `timeout`.
    `pool` left out, a pool of one thread is made when it is needed; a `with` block or `close()` ends it. All that is
    raised is a ClientError, which is a WorkerPoolError: its message names the argument or the field at fault.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: Seconds = 30.0, pool: WorkerPool | None = None
    ) -> None:
        if pool is not None and not isinstance(pool, WorkerPool):
            raise wrong("pool", f"must be a WorkerPool or None, not {type(pool).__name__}")
        seconds = checked_seconds("timeout", timeout)
        self._calls = Calls(checked_url(url), checked_token(token), seconds, pool)

    @property
    def url(self) -> str:
        """The service's URL."""
        return self._calls.url

    def submit(
        self,
        requests: Requests,
        *,
        id: str | None = None,
        lane: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        not_before: datetime | str | None = None,
        expires_in: Seconds | None = None,
        retry: int | Mapping[str, int] | None = None,
        webhook: str | Mapping[str, str] | None = None,
        keep_bodies: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job, and return it once it is on the service's disk.

        `requests` are URLs, Requests or dicts as the wire has them, one or any iterable; many are sent a line each, in
        flat memory. An iterable is read to its end first. Without a key one is made, so that no try doubles the job.
        Raises BadSubmission with `errors` that point to what is wrong; nothing is stored then.
        """
        fields = checked_fields({
            "id": id, "lane": lane, "priority": priority, "labels": labels, "not_before": not_before,
            "expires_in": expires_in, "retry": retry, "webhook": webhook, "keep_bodies": keep_bodies,
        })  # fmt: skip
        with submission(requests, fields, idempotency_key) as ready:
            return self._calls.json(ready.call, Job.of)

    def map(
        self, requests: Iterable[RequestLike], *, timeout: Seconds | None = None, **fields: Any
    ) -> Iterator[Result]:
        """Submit requests, and yield their results in the order of the requests, each when its turn has come.

        `fields` are those of `submit` but `id` and `idempotency_key`. Of more than 100,000 requests each 100,000 are a
        job, submitted when the one before is done. Leaving the loop early cancels the job that is under way.
        """
        for name in ("id", "idempotency_key"):
            if name in fields:
                raise wrong(name, "is for submit(): map() may make several jobs")
        if isinstance(requests, str | bytes | Request | Mapping) or not isinstance(requests, Iterable):
            raise wrong("requests", f"must be an iterable of URLs, Requests or dicts, not {type(requests).__name__}")
        seconds = None if timeout is None else checked_seconds("timeout", timeout)
        source = iter(requests)
        first = next(source, _NONE)
        if first is _NONE:
            checked_fields(fields)
            return iter(())
        job = self.submit(islice(chain((first,), source), MOST), **fields)
        return self._mapped(job, source, seconds, fields)

    def _mapped(
        self, job: Job, source: Iterator[RequestLike], timeout: float | None, fields: Mapping[str, Any]
    ) -> Iterator[Result]:
        while True:
            try:
                found = self._results(job.id, ok=None, limit=_PAGE, follow=True, timeout=timeout)
                yield from following.in_order(found, job.counts.total)
            except GeneratorExit:
                self._cancel_quietly(job.id)
                raise
            first = next(source, _NONE)
            if first is _NONE:
                return
            job = self.submit(islice(chain((first,), source), MOST), **fields)

    def _cancel_quietly(self, id: str) -> None:
        try:
            self.cancel(id)
        except (Conflict, NotFound):  # it was done already
            return

    def results(
        self,
        job: Job | str,
        *,
        follow: bool = False,
        ok: bool | None = None,
        timeout: Seconds | None = None,
        limit: int = _PAGE,
    ) -> Iterator[Result]:
        """Yield the results of a job in the order they were finished, a page of `limit` at a time.

        With `follow` it goes on until the job is done, and raises NotDone if that takes longer than `timeout`. `ok`
        chooses those that have succeeded, or have not.
        """
        if ok is not None:
            checked_flag("ok", ok)
        seconds = None if timeout is None else checked_seconds("timeout", timeout)
        return self._results(
            checked_id(job), ok=ok, limit=checked_whole("limit", limit, 1, 1000),
            follow=checked_flag("follow", follow), timeout=seconds,
        )  # fmt: skip

    def _results(self, id: str, **options: Any) -> Iterator[Result]:
        return following.follow_results(self._calls, id, **options)

    def as_completed(self, jobs: Iterable[Job | str], *, timeout: Seconds | None = None) -> Iterator[Job]:
        """Yield each job when it is done, the first one first; raises NotDone if that takes longer than `timeout`.

        Where a job is gone NotFound is raised, once all others were yielded.
        """
        ids = checked_jobs("jobs", jobs)
        return following.as_completed(
            self._calls, ids, None if timeout is None else checked_seconds("timeout", timeout)
        )

    def wait(self, job: Job | str, *, timeout: Seconds | None = None) -> Job:
        """Block until the job is done, and return it; raises NotDone if that takes longer than `timeout`."""
        seconds = None if timeout is None else checked_seconds("timeout", timeout)
        return following.wait_for(self._calls, checked_id(job), seconds)

    def job(self, job: Job | str) -> Job:
        """Return a job as it is now; raises NotFound."""
        return following.read_job(self._calls, checked_id(job))

    def jobs(
        self,
        *,
        state: str | None = None,
        labels: Mapping[str, str] | None = None,
        q: str | None = None,
        lane: str | None = None,
        limit: int = 100,
    ) -> Iterator[Job]:
        """Yield the jobs that match all that is given, the newest first, `limit` of them from each call."""
        if state is not None and state not in _STATES:
            raise wrong("state", f"must be one of {', '.join(_STATES)}")
        pairs = [("state", state), ("limit", checked_whole("limit", limit, 1, 1000))]
        pairs += [("q", None if q is None else checked_text("q", q))]
        pairs += [("lane", None if lane is None else checked_name("lane", lane))]
        given = {} if labels is None else checked_labels("labels", labels)
        pairs += [("label", f"{name}:{value}") for name, value in given.items()]
        return self._pages("/v1/jobs", joined(pairs), "jobs", Job.of)

    def _pages(
        self, path: str, params: tuple[tuple[str, str], ...], name: str, made: Any, about: str = ""
    ) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            more = () if cursor is None else (("cursor", cursor),)
            page: Page[Any] = self._calls.json(
                Call("GET", path, (*params, *more), about=about),
                lambda found: Page(tuple(made(each) for each in found[name]), found["next"]),
            )
            yield from page.rows
            cursor = page.next
            if cursor is None:
                return

    def cancel(self, job: Job | str) -> Job:
        """End a job, what runs of it too, and return it; raises Conflict where it is done already."""
        id = checked_id(job)
        try:
            return self._act(id, "cancel", {})
        except Conflict:
            found = self.job(id)  # a first try may have done it, and its answer was lost
            if found.state == "cancelled":
                return found
            raise

    def retry(self, job: Job | str, *, only: str = "failed") -> Job:
        """Begin the job's next run: of what did not succeed, or with `only="all"` of all. Raises Conflict.

        It is not tried again where nobody knows what became of the first try: that might begin two runs.
        """
        if only not in ("failed", "all"):
            raise wrong("only", "must be 'failed' or 'all'")
        return self._act(checked_id(job), "retry", {"only": only}, again=False)

    def _act(self, id: str, verb: str, body: Mapping[str, Any], *, again: bool = True) -> Job:
        call = Call("POST", f"/v1/jobs/{id}/{verb}", make_body=lambda: dumps(body).encode(), headers=_JSON,
                    again=again, about=f"job {id}")  # fmt: skip
        return self._calls.json(call, Job.of)

    def delete(self, job: Job | str) -> None:
        """Remove a job that is done, with all that is of it (admin); raises Conflict while it runs."""
        id = checked_id(job)
        self._calls.send(Call("DELETE", f"/v1/jobs/{id}", about=f"job {id}"))

    def body(self, job: Job | str, n: int) -> bytes:
        """Return the bytes of the body of result `n`; raises NotFound where none is kept."""
        return following.read_body(self._calls, checked_id(job), checked_whole("n", n, 0, 2**31 - 1))

    def events(self, job: Job | str | None = None, *, last_id: int | None = None) -> Iterator[Event]:
        """Yield events as they come, each once, also where the connection is lost: of one job until it is done.

        Of all jobs they go on for ever, from now on; with `last_id` from behind that event.
        """
        if last_id is not None:
            checked_whole("last_id", last_id, 0, 10**18 - 1)
        return following.follow_events(self._calls, None if job is None else checked_id(job), last_id)

    def lanes(self) -> tuple[LaneState, ...]:
        """Return every lane, with how much waits and runs in it."""
        return self._calls.json(Call("GET", "/v1/lanes"), lambda found: tuple(map(LaneState.of, found["lanes"])))

    def put_lane(
        self,
        name: str,
        *,
        connections: int | None = None,
        per_host: int | None = None,
        rate: float | None = None,
        per_host_rate: float | None = None,
        paused: bool | None = None,
    ) -> LaneState:
        """Set a lane, which is made if it isn't there (admin); what is left out stays as it is. 0 is no limit."""
        given: dict[str, Any] = {}
        for key, value in (("connections", connections), ("per_host", per_host)):
            given |= {} if value is None else {key: checked_whole(key, value, 0, 10_000)}
        for key, number in (("rate", rate), ("per_host_rate", per_host_rate)):
            # None is no limit for the service, and here what was left out; 0 is none in both.
            given |= {} if number is None else {key: None if number == 0 else checked_number(key, number)}
        given |= {} if paused is None else {"paused": checked_flag("paused", paused)}
        path, body = f"/v1/lanes/{checked_name('name', name)}", dumps(given).encode()
        return self._calls.json(Call("PUT", path, make_body=lambda: body, headers=_JSON), LaneState.of)

    def stats(self) -> ServiceStats:
        """Return the service in numbers."""
        return self._calls.json(Call("GET", "/v1/stats"), ServiceStats.of)

    def explain(self, url: str) -> Explanation:
        """Say whether the service's address rules let a URL through, by which rule, and what it resolves to."""
        call = Call("GET", "/v1/policy/explain", (("url", checked_text("url", url, 16_384)),))
        return self._calls.json(call, Explanation.of)

    def deliveries(self, job: Job | str) -> Iterator[Delivery]:
        """Yield the messages of a job's webhook, the newest first, with each try of them."""
        id = checked_id(job)
        return self._pages(f"/v1/jobs/{id}/deliveries", (), "deliveries", Delivery.of, f"job {id}")

    def replay(self, job: Job | str, delivery: Delivery | str) -> Delivery:
        """Send a webhook's message once more, with the same id; returns its delivery."""
        id = checked_id(job)
        name = checked_name("delivery", delivery.id if isinstance(delivery, Delivery) else delivery)
        call = Call("POST", f"/v1/jobs/{id}/deliveries/{name}/replay", about=f"job {id}, delivery {name}")
        return self._calls.json(call, Delivery.of)

    def close(self) -> None:
        """End the client's own pool; calls are refused from then on. Repeatable."""
        self._calls.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {redact(self.url)}>"


_JSON = {"Content-Type": "application/json"}
