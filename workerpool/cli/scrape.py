"""One run of a Crawl for a command: what was given is made into its parts, watched, and told by an exit code."""

import errno
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NoReturn

import click

from ..caller.anypool import AnyPool
from ..errors import WorkerLost
from ..scraping.asking_again import ask_again
from ..scraping.backlog import Accepts, Source
from ..scraping.crawl import Crawl
from ..scraping.errors import InputError, OtherRun, SinkError, StateError
from ..scraping.outcome import Outcome
from ..scraping.parsing import Parse
from ..scraping.reading import Standing, standing
from ..scraping.report import Report
from ..scraping.sinks.text import defused
from ..scraping.state import Mode
from ..scraping.summary import Summary
from ..scraping.telling import Headers
from ..settings import Retry
from .given import lane_options
from .live import LiveView
from .logs import logs_on_stderr
from .made import made_politeness, made_signer, made_sinks, output_names
from .pools import opened
from .signals import Stops
from .writing import leave_stdout

__all__ = ["Run", "plain_pool", "polite_options", "scrape"]

_FAILED, _STOPPED, _LOCAL_IO = 1, 3, 4  # exit codes
_FREE = "free some room and run the same again: with a state it goes on where it was"
_CURES = {errno.ENOSPC: _FREE, errno.EDQUOT: _FREE, errno.EFBIG: _FREE}
_RULES = {"robots", "robots-unreachable", "noai", "noaiinput", "noarchive", "noindex", "tdm", "duplicate", "exists"}
_HURRY = 5.0  # seconds that the pool gets to close when the run was stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What makes a run beside the options that all have: `inputs` are made with the pool, `identity` names them."""

    inputs: Callable[[AnyPool], Source]
    identity: Mapping[str, str]
    total: int | None = None
    parse: Parse | None = None
    accepts: Accepts | None = None
    key: Callable[[str], bytes] | None = None
    headers: Headers | None = None
    sitemaps: bool = False
    again: tuple[str, ...] = ()
    fail_status: bool = True
    bad: Callable[[], int] = int  # how many lines of the input were none
    told: Callable[[], Iterable[str]] = field(default=tuple)  # what else is to be said in the end


def scrape(run: Run, given: Mapping[str, Any]) -> NoReturn:
    """Run it, and exit."""
    names = output_names(given)
    _check_state(given, names, again=run.again)
    politeness, signer = made_politeness(given), made_signer(given)
    identity = _identity(run, given, names)
    quiet = given["quiet"] or sys.stderr is None
    goes_on = given["state"] is not None and not given["restart"] and Path(given["state"]).exists()
    with logs_on_stderr(given["verbose"], quiet=given["quiet"]), _told(names):
        if run.again:
            _begin_again(run, given["state"], identity, names, quiet=quiet)
        stops = Stops(gently=given["state"] is not None, quiet=given["quiet"])
        with plain_pool(given) as pool:
            crawl = Crawl(
                run.inputs(pool), parse=run.parse, sinks=made_sinks(given, names), state=given["state"],
                mode=_mode(given), identity=identity, since_last=given["since"] is not None, politeness=politeness,
                accepts=run.accepts, key=run.key,
                headers=run.headers, signer=signer, sitemaps=run.sitemaps,
                skip_existing=given.get("skip_existing", False), retry=_retry(given), pool=pool,
                max_pages=given["max_pages"], max_seconds=given["max_time"], max_bytes=given["max_bytes"],
            )  # fmt: skip
            failed = _watched(crawl, run, given, stops, shares_screen="-" in names)
    if not quiet:
        _say_end(crawl.summary, run, given, stops, failed=failed, goes_on=goes_on)
    sys.exit(_exit_code(crawl.summary, run, given["state"], stops, failed + run.bad()))


def _watched(crawl: Crawl, run: Run, given: Mapping[str, Any], stops: Stops, *, shares_screen: bool) -> int:
    """Let it run to its end, shown on stderr; return how many outcomes are failures."""
    on_terminal = shares_screen and sys.stdout is not None and sys.stdout.isatty()
    failed = 0
    report = Report(given["report"]) if given["report"] or given["plot"] else None
    if report is not None:
        crawl.watch(report)
    with stops.of(crawl), LiveView(crawl, total=run.total, quiet=given["quiet"], shared_screen=on_terminal):
        for outcome in crawl:
            failed += not _is_good(outcome, fail_status=run.fail_status)
            _warn_of_seed(outcome, quiet=given["quiet"])
    if report is not None and given["plot"] and sys.stderr is not None:
        click.echo(report.plot(), err=True)
    return failed


def _is_good(outcome: Outcome, *, fail_status: bool) -> bool:
    if outcome.verdict == "skipped":
        return outcome.reason != "robots-unreachable"
    return outcome.verdict == "fetched" and (outcome.ok or not fail_status)


def _warn_of_seed(outcome: Outcome, *, quiet: bool) -> None:
    """Say where a seed leads to that is out of the scope: else a crawl ends after one page, and nobody knows why."""
    response = outcome.response
    if quiet or outcome.verdict != "skipped" or response is None or outcome.item.parent is not None:
        return
    place = defused(response.headers.get("Location", ""))
    click.echo(
        f"workerpool: {defused(outcome.url)} leads to {place}, which is out of the scope ({outcome.reason}); "
        "give that as seed, or another --scope",
        err=True,
    )


def _exit_code(summary: Summary, run: Run, state: str | None, stops: Stops, failed: int) -> int:
    if not summary.complete and stops.exit_code is not None:
        return stops.exit_code
    if state is None:
        return _FAILED if failed else 0
    if not summary.complete:
        return _STOPPED
    failed += _failures(standing(state), fail_status=run.fail_status)
    return _FAILED if failed else 0


def _failures(found: Standing, *, fail_status: bool) -> int:
    errors = found.error_answers if fail_status else 0
    return found.failed + found.reasons.get("robots-unreachable", 0) + errors


def _say_end(summary: Summary, run: Run, given: Mapping[str, Any], stops: Stops, *, failed: int, goes_on: bool) -> None:
    for line in (*_facts(summary, failed), *run.told()):
        click.echo(defused(line), err=True)
    if goes_on:
        click.echo(_in_all(standing(given["state"])), err=True)
    if summary.complete:
        return
    if given["state"] is not None:
        click.echo("stopped; the same command again goes on where it was", err=True)
    elif stops.exit_code is None:
        click.echo("stopped; nothing says how far it was, --state FILE would", err=True)


def _facts(summary: Summary, failed: int) -> Iterator[str]:
    done = summary.asked + summary.skipped
    rate = done / max(summary.seconds, 1e-9)
    yield f"{done} fetched, {failed} failed, {summary.seconds:.1f} s, {rate:.0f}/s"
    if summary.skipped:
        rules = (
            "robots",
            "robots-unreachable",
            "noai",
            "noaiinput",
            "noarchive",
            "noindex",
            "tdm",
            "duplicate",
            "exists",
        )
        found = {name: number for name, number in summary.reasons.items() if name in rules}
        yield f"of these {summary.skipped} skipped{_counts(found)}"
    if summary.changes:
        yield f"since the last run{_counts(summary.changes)}"
    if summary.not_named:
        yield f"{summary.not_named} of the run before are in the inputs no more"
    if summary.left_out:
        yield f"{sum(summary.left_out.values())} found and left out{_counts(summary.left_out)}"


def _in_all(found: Standing) -> str:
    left = f", {found.waiting} to come" if found.waiting else ""
    return f"in all {found.fetched} fetched, {found.failed} failed, {found.skipped} skipped or left out{left}"


def _counts(found: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} {number}" for name, number in sorted(found.items(), key=lambda each: -each[1]))
    return f": {told}" if told else ""


def _mode(given: Mapping[str, Any]) -> Mode:
    return "restart" if given["restart"] else "resume" if given["resume"] else "continue"


def _retry(given: Mapping[str, Any]) -> Retry | None:
    return Retry(attempts=given["retries"] + 1) if given["retries"] else None


def _check_state(given: Mapping[str, Any], names: list[str], *, again: tuple[str, ...]) -> None:
    state, again = given["state"], again or (("since",) if given["since"] else ())
    if given["since"] and (given["restart"] or given.get("again")):
        raise click.UsageError("--since last goes on from the run before; leave out --restart and --retry")
    if state is None:
        if given["since"]:
            raise click.UsageError("--since last needs --state FILE: that of the run before, or to be, the first time")
        for name in ("resume", "restart"):
            if given[name]:
                raise click.UsageError(f"--{name} needs --state FILE: the file that keeps how far the run is")
        return
    if given["resume"] and given["restart"]:
        raise click.UsageError("--resume goes on, and --restart begins anew; give one of them")
    if state in names:
        raise click.UsageError(f"--state and -o are both {state!r}; give two files")
    if given["restart"] or (not again and _has_begun(state)):
        return
    if again and Path(state).exists() and standing(state).complete is False:
        return  # it may be the retry itself that goes on
    if (there := next((name for name in names if Path(name).is_file() and Path(name).stat().st_size), None)) is None:
        return
    if again:
        if given["since"] and not Path(state).exists():
            raise click.UsageError(f"-o {there!r} is there, and the state {state!r} is not; give another output")
        raise click.UsageError(f"-o {there!r} is there already; what is asked again goes to a new file")
    lost = "empty" if Path(state).exists() else "not"
    raise click.UsageError(
        f"-o {there!r} is there, and the state {state!r} is {lost}; give the state that belongs to it, another output,"
        " or --restart to overwrite it"
    )


def _has_begun(state: str) -> bool:
    """Whether there is a state: an empty file is none, or has lost what it had."""
    return Path(state).exists() and Path(state).stat().st_size > 0


def _begin_again(run: Run, state: str, identity: Mapping[str, str], names: list[str], *, quiet: bool) -> None:
    number = ask_again(state, run.again, identity)
    if not quiet:
        what = "goes on" if number is None else f"{number} to be asked again"
        place = ", ".join(names) or "the folder"
        click.echo(f"--retry {', '.join(run.again)}: {what}; their new rows go to {defused(place)}", err=True)


def _identity(run: Run, given: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Return what the run is told from others by: its input, its outputs, and what changes the results."""
    found = dict(run.identity)
    found["outputs"] = ", ".join(names)
    for name in ("save", "since"):
        if given[name]:
            found[f"--{name}"] = given[name]
    if given["extracts"]:
        found["--extract"] = " ".join(given["extracts"])
    if given["body"]:
        found["--body"] = "yes"
    if given["robots"]:
        found["--robots"] = "yes"
    if given["respects"]:
        found["--respect"] = ", ".join(sorted(given["respects"]))
    if given["headers"]:
        found["--header"] = digest(given["headers"])
    if run.again:
        found["--retry"] = ", ".join(run.again)
    return found


def digest(values: Iterable[str]) -> str:
    """Return what tells values from others, and nothing else of them."""
    text = "\n".join(values).encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=6).hexdigest()


def polite_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a pool whose pace the run keeps: limits of hosts, retries and headers are not its own."""
    names = ("connections", "workers", "rate", "timeout", "proxy")
    options = {name: given[name] for name in names}
    checked = lane_options({**options, "headers": (), "retries": 0, "insecure": given["insecure"]})
    return {**checked, "retry": None}


@contextmanager
def plain_pool(given: Mapping[str, Any]) -> Iterator[AnyPool]:
    """Give the pool of a run; what is under way when it is left early is given up."""
    pool = opened(given, polite_options(given))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True, timeout=_HURRY)


@contextmanager
def _told(names: list[str]) -> Iterator[None]:
    """Say what went wrong with state, input or outputs, and exit."""
    try:
        yield
    except OtherRun as exc:
        raise click.UsageError(defused(str(exc))) from None
    except BrokenPipeError:
        leave_stdout()
        sys.exit(_FAILED)
    except (StateError, SinkError, InputError) as exc:
        _give_up(str(exc), names)
    except WorkerLost as exc:  # all of a cluster at once; one by one they are the outcomes of their items
        _give_up(f"{exc}; with --state the same command then goes on where it was", names)
    except OSError as exc:
        place = repr(exc.filename) if exc.filename is not None else "a file"
        cure = _CURES.get(exc.errno or 0, "mend that or give another place")
        _give_up(f"cannot read or write {place}: {exc.strerror}; {cure}", names)


def _give_up(trouble: str, names: list[str]) -> NoReturn:
    click.echo(f"workerpool: {defused(trouble)}", err=True)
    if "-" in names:
        leave_stdout()
    sys.exit(_LOCAL_IO)
