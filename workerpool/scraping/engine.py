"""The engine of a run: asks for what may be asked for, and makes outcomes of what comes."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import replace
from heapq import nlargest
from itertools import islice
from queue import Empty, SimpleQueue
from time import monotonic, time
from typing import Any

from ..caller.anypool import AnyPool
from ..caller.client import Client
from ..caller.pool import WorkerPool
from ..errors import InvalidRequest, RequestError, WorkerLost, WorkerPoolError
from ..handover.job import Job
from ..messages.request import Request
from ..messages.response import Response
from ..policies.retry import is_good, may_be_sent_again, wait_before_retry
from ..settings import Retry
from .backlog import Backlog
from .downloads import Download, Downloaded, Downloads
from .entry import Entry, is_unreachable
from .families import family_of
from .frontier import Frontier
from .gate import Gate
from .hosts import Hosts, retry_after_seconds
from .item import Item
from .onward import onward
from .outcome import Attempt, Outcome
from .parsing import Parse, Parsed, parsed
from .politeness import Politeness
from .progress import HostProgress, Progress
from .record import Record
from .summary import Summary
from .telling import Telling
from .validators import digest_of, judged

__all__ = ["Engine"]

_TURN = 1.0  # seconds that one wait takes at most
_MOST_REDIRECTS = 20
_MOST_LOOKED_AT, _MOST_SHOWN = 2000, 20  # hosts, for the view of a run
_AFTER_LOSS, _LOSSES = 1.0, 3  # seconds before another worker is asked, and how many may be lost with one item
_AT_ONCE = 1000  # jobs handed to a lane without a limit of its own


class Engine:
    """Bring items through the pool, at the pace of their hosts. Of the run's thread only."""

    def __init__(
        self,
        pool: AnyPool,
        record: Record,
        backlog: Backlog,
        politeness: Politeness,
        retry: Retry | None,
        parse: Parse | None,
        processes: Executor | None,
        telling: Telling,
        *,
        sitemaps: bool = False,
        skip_existing: bool = False,
        downloads: Downloads | None = None,
    ) -> None:
        self.asked: dict[Future[Any], Entry] = {}
        self.retried: int = 0
        self._pool, self._record, self._backlog = pool, record, backlog
        self._politeness, self._retry = politeness, retry
        self._parse, self._processes = parse, processes
        self._hosts = Hosts(politeness)
        self._frontier = Frontier(self._hosts, backlog.more)
        self._telling, self._sitemaps, self._skips_existing = telling, sitemaps, skip_existing
        self._downloads = downloads
        self._gate = Gate(politeness, telling)
        self._limit = 2 * (pool.lane_settings.connections or _AT_ONCE)
        self._rules_asked: dict[Future[Any], Entry] = {}
        self._parsing: dict[Future[Any], tuple[Entry, Outcome]] = {}
        self._arrived: SimpleQueue[Future[Any]] = SimpleQueue()
        backlog.ask_by(self._ask_aside)

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return bool(self.asked or self._parsing or self._rules_asked)

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way, and nothing waits."""
        return not self.is_busy and not len(self._frontier) and not len(self._gate) and self._backlog.is_empty

    def begin(self, most: int | None = None) -> Iterator[Outcome]:
        """Ask for what may be asked for now, for `most` items at most; yields outcomes of what may never be."""
        self._backlog.fill(self._frontier)
        room = self._limit - len(self.asked)
        if most is not None:
            room = min(room, most)
        # The time is asked for anew: a host that was asked just now is no longer ready as of before.
        while room > 0 and (entry := self._frontier.next(monotonic())) is not None:
            if entry.aside is None and self._is_there(entry):
                self._record.begin(entry)
                self._frontier.renew(entry.host)
                yield _outcome(entry, verdict="skipped", reason="exists")
                continue
            if not self._gate.lets(entry):
                self._ask_rules(entry)
                continue
            if entry.aside is None:
                self._record.begin(entry)
            outcome = self._refused(entry) or self._ask(entry)
            self._frontier.renew(entry.host)
            if outcome is not None and entry.aside is not None:
                entry.aside(outcome)
            elif outcome is not None:
                yield outcome
            else:
                room -= 1

    def come(self, *, idle: bool = False) -> Iterator[Outcome]:
        """Yield the outcomes of what has come; waits for it until the next host has its turn, or with `idle` a bit."""
        if (future := self._next_arrived(idle=idle)) is None:
            return
        while future is not None:
            if (outcome := self._after(future)) is not None:
                yield outcome
            try:
                future = self._arrived.get_nowait()
            except Empty:
                return

    def progress(self, summary: Summary, seconds: float) -> Progress:
        """Return how the run stands."""
        now = monotonic()
        causes: Counter[str] = Counter()
        under_way = Counter(entry.host for entry in self.asked.values())
        found: list[tuple[float, int, str, str]] = []
        for host, waiting in islice(self._frontier.waiting(), _MOST_LOOKED_AT):
            cause, due_in = ("robots", 0.0) if self._frontier.holds(host) else self._hosts.standing(host, now)
            causes[cause] += 1
            found.append((due_in, waiting, host, cause))
        del causes[""]
        return Progress(
            at=now, seconds=seconds, known=self._record.known, fetched=summary.fetched, failed=summary.failed,
            skipped=summary.skipped, retried=self.retried, bytes=summary.bytes, in_flight=len(self.asked),
            waiting=self._backlog.waiting(self._frontier) + len(self._gate), input_ended=self._record.input_ended,
            workers=self._workers(),
            statuses=dict(summary.statuses), reasons=dict(summary.reasons), causes=dict(causes),
            hosts=tuple(
                HostProgress(host=host, waiting=waiting, in_flight=under_way[host], cause=cause, due_in=due_in)
                for due_in, waiting, host, cause in nlargest(_MOST_SHOWN, found)
            ),
        )  # fmt: skip

    def _workers(self) -> dict[str, int]:
        """Return what the processes of a cluster have; of threads of this one there is nothing to be told."""
        if isinstance(self._pool, WorkerPool):
            return {}
        return {each.name: each.in_flight for each in self._pool.stats().workers}

    def give_up(self) -> None:
        """Cancel what is under way; it stays asked for, and comes again when the run goes on."""
        for future in (*self.asked, *self._rules_asked, *self._parsing):
            future.cancel()

    def hold_back(self) -> None:
        """Take back what was handed over and is not sent yet: it waits for the run to go on."""
        for future in [*self.asked, *self._rules_asked]:
            if not future.running():
                future.cancel()

    def _next_arrived(self, *, idle: bool) -> Future[Any] | None:
        full = idle or len(self.asked) >= self._limit
        wait = _TURN if full else min(max(self._frontier.due() - monotonic(), 0.0), _TURN)
        try:
            return self._arrived.get_nowait()
        except Empty:
            pass
        self._record.commit_when_due(idle=True)
        try:
            return self._arrived.get(timeout=wait)
        except Empty:
            return None

    def _refused(self, entry: Entry) -> Outcome | None:
        if entry.problem is not None:
            return _failed(entry, InvalidRequest(entry.problem))
        reason = self._gate.reason(entry)
        return None if reason is None else _outcome(entry, verdict="skipped", reason=reason)

    def _is_there(self, entry: Entry) -> bool:
        """Whether an item need not be asked for, since its file is there."""
        return self._skips_existing and not entry.redirects and self._record.finds(entry.item)

    def _ask(self, entry: Entry) -> Outcome | None:
        """Ask for an item; returns its outcome where it cannot be asked for."""
        item = entry.item
        try:
            client = self._pool if item.lane is None else self._pool.lane(item.lane)
            if entry.before is not None:
                entry.may_be_unchanged = self._record.keeps(entry.given)
            entry.was_conditional = bool(entry.conditions())
            job = self._submitted(client, entry)
        except InvalidRequest as exc:
            return _failed(entry, exc)
        now = monotonic()  # anew: whoever takes outcomes may have taken its time since the turn began
        self._hosts.started(entry.host, now)
        entry.attempts.append(Attempt(started=time(), waited=max(0.0, now - entry.since)))
        self._follow_up(job, self.asked, entry)
        return None

    def _ask_aside(self, item: Item, tell: Callable[[Outcome], object]) -> None:
        """Ask for what an input needs itself: by robots.txt, the pace and the signature of all others."""
        entry = Entry(-1, item)
        entry.aside = tell
        self._frontier.add(entry, first=True)

    def _submitted(self, client: Client, entry: Entry) -> Future[Any]:
        item, headers, follows = entry.item, self._telling.of(entry), self._telling.follows
        if self._downloads is None or entry.aside is not None:
            return client.submit(item.request(headers=headers, retry=None, allow_redirects=follows))
        if not self._downloads.wants(entry):
            limit = self._downloads.limit(client)
            return client.submit(item.request(headers=headers, retry=None, allow_redirects=follows, max_body=limit))
        timeout = self._downloads.timeout(client)
        request = item.request(headers=headers, retry=None, allow_redirects=follows, timeout=timeout)
        return self._downloads.begin(client, request, entry.given.url, identity=bool(entry.attempts))

    def _ask_rules(self, entry: Entry) -> None:
        """Have the entry wait for the rules of its origin; the first one to wait has them asked for."""
        self._frontier.hold(entry.host)
        request = self._gate.hold(entry)
        if request is not None:
            self._hosts.started(entry.host, monotonic())
            self._follow_up(self._pool.submit(request), self._rules_asked, entry)

    def _follow_up(self, job: Future[Any], where: dict[Future[Any], Any], what: object) -> None:
        where[job] = what
        job.add_done_callback(self._arrived.put)

    def _after(self, future: Future[Any]) -> Outcome | None:
        if future in self._parsing:
            return self._follow(*self._parsing.pop(future), _parsed_elsewhere(future))
        is_rules = future in self._rules_asked
        entry = (self._rules_asked if is_rules else self.asked).pop(future)
        try:
            answer: Response | WorkerPoolError = self._unpacked(entry, future.result())
        except CancelledError:
            self._take_back(entry, was_rules=is_rules)  # it comes again when the run goes on
            return None
        except WorkerPoolError as exc:
            answer = exc
        if is_rules:
            self._open(entry, answer)
            self._note_pace(entry, future, answer)
            self._frontier.let_go(entry.host)
            return None
        self._note_pace(entry, future, answer)
        outcome = self._judged(entry, answer)
        self._frontier.renew(entry.host)
        if entry.aside is not None:
            if outcome is not None:
                entry.aside(outcome)
            return None
        return outcome if outcome is None or outcome.verdict != "fetched" else self._read(entry, outcome)

    def _unpacked(self, entry: Entry, found: Response | Downloaded) -> Response:
        """Return the answer, and note where its body is."""
        if not isinstance(found, Downloaded):
            return found
        entry.saved, entry.is_stale = found.saved, found.stale
        if self._downloads is not None and found.saved is None and not found.stale:
            self._downloads.note_size(entry, is_large=False)
        return found.response

    def _take_back(self, entry: Entry, *, was_rules: bool) -> None:
        self._hosts.ended(entry.host, monotonic())
        if not was_rules:
            if entry.aside is None:
                self._record.put_back(entry)
            self._frontier.add(entry, first=True)

    def _note_pace(self, entry: Entry, future: Future[Any], answer: Response | WorkerPoolError) -> None:
        now = monotonic()
        job = future.job if isinstance(future, Download) else future
        sent = job.sent_at if isinstance(job, Job) else None
        if isinstance(answer, RequestError):
            failed = is_unreachable(answer, entry.host)
            self._hosts.ended(entry.host, now, failed=failed, sent=sent)
        elif isinstance(answer, Response):
            pause = retry_after_seconds(answer.headers.get("Retry-After"), now=time())
            took = _answering(job, sent)
            self._hosts.ended(entry.host, now, status=answer.status_code, retry_after=pause, took=took, sent=sent)
        else:
            self._hosts.ended(entry.host, now, sent=sent)

    def _open(self, first: Entry, answer: Response | WorkerPoolError) -> None:
        """Let what waited for an origin's rules go on; where they are elsewhere, ask there."""
        found = self._gate.open(first, answer)
        if isinstance(found, Request):
            self._hosts.started(first.host, monotonic())
            self._follow_up(self._pool.submit(found), self._rules_asked, first)
            return
        self._hosts.set_floor(first.host, self._gate.delay(first))
        if self._sitemaps:
            rules = f"{first.origin}/robots.txt"
            items = (Item(url=url, parent=rules) for url in self._gate.sitemaps(first))
            self._backlog.found(items, self._frontier)
        for entry in reversed(found):
            self._frontier.add(entry, first=True)

    def _judged(self, entry: Entry, answer: Response | WorkerPoolError) -> Outcome | None:
        """Return the outcome; None where the item goes on: after a pause, or where a redirect leads."""
        attempt = _ended(entry.attempts[-1], answer)
        entry.attempts[-1] = attempt
        if isinstance(answer, WorkerLost):
            if not self._pool.is_open:  # a cluster that is lost as a whole: the run ends, and its state can go on
                raise answer
            if self._may_be_asked_again(entry):
                self.retried += 1
                entry.since = monotonic()
                self._frontier.add(entry, due=entry.since + _AFTER_LOSS)
                return None
        if isinstance(answer, WorkerPoolError) and not isinstance(answer, RequestError):
            return _failed(entry, answer)
        if entry.aside is None and self._downloads is not None and self._downloads.takes(entry, answer):
            self._downloads.note_size(entry, is_large=True)
            entry.is_stale = True
        if entry.is_stale:  # a part of another file is gone now, or a body is large: it is asked for from its beginning
            entry.is_stale, entry.since = False, monotonic()
            self._frontier.add(entry, first=True)
            return None
        pause = self._pause(entry, answer)
        if pause is not None:
            self.retried += 1
            entry.since = monotonic()
            self._frontier.add(entry, due=entry.since + pause)
            return None
        if isinstance(answer, RequestError):
            return _failed(entry, answer)
        try:
            following = None if self._telling.follows else onward(entry.item, answer)
        except RequestError as exc:
            return _failed(entry, exc)
        if following is None or len(entry.redirects) >= _MOST_REDIRECTS:
            return self._answered(entry, answer)
        reason = self._backlog.reason_against(following, entry) if entry.aside is None else None
        if reason is not None:
            return _outcome(entry, verdict="skipped", response=answer, reason=reason)
        entry.redirects.append(entry.item.url)
        entry.go_to(following)
        entry.since = monotonic()
        self._frontier.add(entry, first=True)
        return None

    def _may_be_asked_again(self, entry: Entry) -> bool:
        """Whether what was lost with its worker does no harm when it is sent twice; a page that kills each ends."""
        losses = sum(1 for each in entry.attempts if each.error == WorkerLost.__name__)
        return self._retry is not None and losses < _LOSSES and may_be_sent_again(self._retry, entry.item.request())

    def _pause(self, entry: Entry, answer: Response | RequestError) -> float | None:
        """Return the seconds before the item is tried again; None where it is not."""
        if is_good(self._retry, answer):
            return None
        since = self._record.since
        tried = sum(1 for each in entry.attempts if each.is_try and each.started >= since)
        request = entry.item.request()
        pause = wait_before_retry(self._retry, request, tried, answer)
        if pause is None or pause > self._politeness.max_retry_after:
            return None
        return pause

    def _answered(self, entry: Entry, answer: Response) -> Outcome:
        good = answer.status_code < 400
        redirects = tuple(entry.redirects) or tuple(each.url for each in answer.history)
        return _outcome(
            entry,
            verdict="fetched",
            response=answer,
            reason=None if good else family_of(answer),
            redirects=redirects,
            preferences=self._gate.preferences(entry, answer),
            saved=entry.saved,
            **self._compared(entry, answer),
        )

    def _compared(self, entry: Entry, answer: Response) -> dict[str, Any]:
        """Return what has become of a page since the last round, and what a state keeps of it for the next one."""
        state = self._record.state
        if state is None:
            return {}
        is_good = 200 <= answer.status_code < 300
        digest = (entry.saved and entry.saved.digest) or (digest_of(answer) if is_good else "")
        captured = entry.attempts[-1].started
        change, kept = judged(entry.before, answer, digest, captured, was_conditional=entry.was_conditional)
        return {"change": change if self._record.tells_changes else None, "validators": kept}

    def _read(self, entry: Entry, outcome: Outcome) -> Outcome | None:
        """Have the user's own code read the answer: at once, or in another process."""
        if self._parse is None or outcome.is_unchanged:
            return outcome
        if self._processes is None:
            return self._follow(entry, outcome, parsed(self._parse, outcome))
        work = self._processes.submit(parsed, self._parse, outcome)
        self._follow_up(work, self._parsing, (entry, outcome))
        return None

    def _follow(self, entry: Entry, outcome: Outcome, found: Parsed) -> Outcome:
        if found.error is not None:
            # What was not read counts as not seen: the next round asks for it anew.
            failed = replace(outcome, verdict="failed", reason="parse", error=found.error)
            return replace(failed, change=None, validators=entry.before)
        self._backlog.found(found.items, self._frontier)
        return replace(outcome, fields=found.fields)


def _outcome(entry: Entry, **facts: Any) -> Outcome:
    facts.setdefault("redirects", tuple(entry.redirects))
    facts.setdefault("validators", entry.before)
    return Outcome(index=entry.index, item=entry.given, attempts=tuple(entry.attempts), **facts)


def _failed(entry: Entry, error: WorkerPoolError) -> Outcome:
    return _outcome(entry, verdict="failed", error=error, reason=family_of(error))


def _ended(attempt: Attempt, answer: Response | WorkerPoolError) -> Attempt:
    took = time() - attempt.started
    if isinstance(answer, Response):
        return Attempt(started=attempt.started, waited=attempt.waited, took=took, status=answer.status_code)
    stage = answer.stage if isinstance(answer, RequestError) else None
    return replace(attempt, took=took, error=type(answer).__name__, stage=stage, message=str(answer))


def _answering(future: Future[Any], sent: float | None) -> float | None:
    """Return the seconds from the sending to the answer: what it has waited before that tells nothing of the host."""
    return None if not isinstance(future, Job) or sent is None else max(0.0, future.started + future.elapsed - sent)


def _parsed_elsewhere(future: Future[Any]) -> Parsed:
    try:
        found: Parsed = future.result()
    except Exception as exc:  # noqa: BLE001  the process has died, or what it found cannot travel
        return Parsed(error=exc)
    return found
