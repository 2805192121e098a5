"""The view of a run on stderr: beside log lines, in place or as plain lines, and honest about the end."""

import io
import logging
import sys
import threading

import pytest
from rich.console import Console
from screen import screen

from workerpool.cli import live
from workerpool.cli.estimate import Estimate
from workerpool.cli.live import LiveView
from workerpool.cli.picture import line, picture
from workerpool.scraping import Progress, Report
from workerpool.scraping.progress import HostProgress

SLOW = HostProgress(host="a.very-long-name-of-a-host.that-is-slow.example.org:443", waiting=90, in_flight=1,
                    cause="crawl-delay", due_in=9.0)  # fmt: skip


def standing(second, done=0, **more):
    facts = {"known": 1000, "in_flight": 10, "waiting": 990 - done, "input_ended": True} | more
    return Progress(at=100.0 + second, seconds=float(second), fetched=done, **facts)


def seen(*progresses, total=None):
    estimate = Estimate(total)
    for each in progresses:
        estimate.see(each)
    return estimate


class Run:
    """A run that stands somewhere else each time it is looked at; tells when it was looked at often."""

    def __init__(self, often=3, act=None):
        self.looks = 0
        self.was_seen = threading.Event()
        self._often, self._act = often, act

    @property
    def progress(self):
        self.looks += 1
        if self._act is not None and self.looks == 2:
            self._act()
        if self.looks >= self._often:
            self.was_seen.set()
        return standing(self.looks, 50 * min(self.looks, 19), hosts=(SLOW,), causes={"crawl-delay": 1})


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(live, "_FRAME", 0.01)
    monkeypatch.setattr(live, "_LINE", 0.01)
    monkeypatch.setattr(live, "_SHARE", 1.0)


def terminal(monkeypatch, width=80, *, real=True, **options):
    """Put a terminal in the place of stderr; return it and a console on it."""
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "__stderr__", stderr)
    return stderr, Console(stderr=True, width=width, height=40, force_terminal=real, highlight=False, **options)


def test_the_end_is_told_by_queue_and_rate():
    assert 9.5 == seen(standing(0), standing(10, 500), standing(10.5, 525)).left


def test_nothing_is_told_of_the_end_before_something_was_seen():
    assert seen(standing(0), standing(1, 500)).left is None
    assert seen(standing(0), standing(10, 0)).left is None
    assert "end not known yet" in line(seen(standing(0)))


@pytest.mark.parametrize(
    ("more", "total", "words"),
    [
        ({}, None, "8 s"),
        ({"input_ended": False}, None, "at least"),
        ({"input_ended": False}, 1000, "left"),
        ({"known": 1500, "waiting": 990}, None, "at least"),
    ],
    ids=["a list", "stdin", "a file that was counted", "a crawl"],
)
def test_what_has_no_known_end_is_told_so(more, total, words):
    text = line(seen(standing(0), standing(10, 500, **more), total=total))
    assert ("at least" in text) == (words == "at least")
    assert ("+" in text) == (words == "at least")


def test_a_slow_host_counts_for_the_whole():
    first, last = (HostProgress(host="slow:80", waiting=number) for number in (100, 90))
    estimate = seen(standing(0, hosts=(first,)), standing(10, 500, hosts=(last,)))
    assert 90.0 == estimate.left


@pytest.mark.parametrize("budget", [{"max_pages": 600}, {"max_seconds": 12.0}, {"max_bytes": 1200, "bytes": 1000}])
def test_a_budget_may_end_it_before(budget):
    estimate = seen(standing(0), standing(10, 500, **budget))
    assert 2.0 == estimate.left
    assert "to the budget's end" in line(estimate)
    assert "budget" in picture(estimate, 79)[-1].plain


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("width", [10, 39, 79, 139])
def test_no_line_is_wider_than_the_terminal(width, plain):
    facts = {"statuses": {"2xx": 123_456_789, "5xx": 12}, "causes": {"crawl-delay": 1234, "retry-after": 12, "circuit": 3},
             "hosts": (SLOW,) * 9, "bytes": 10**12, "failed": 7, "skipped": 8, "retried": 9, "max_pages": 10**9}  # fmt: skip
    lines = picture(seen(standing(0), standing(10, 500, **facts)), width, plain=plain)
    assert 6 <= len(lines) <= 14
    assert all(each.cell_len <= width for each in lines)
    assert not plain or all(each.plain.isascii() for each in lines)


def test_names_of_hosts_move_no_cursor():
    shown = picture(seen(standing(0), standing(9, 9, hosts=(HostProgress(host="\x1b[2Ja:1", waiting=1),))), 79)
    assert "\x1b" not in "".join(each.plain for each in shown)


@pytest.mark.parametrize("width", [40, 80, 140])
def test_what_is_logged_and_printed_stands_above_the_picture(monkeypatch, width):
    """Whole, each once, in its order; and the picture is gone in the end."""
    stderr, console = terminal(monkeypatch, width)
    log = logging.getLogger("seen")
    handler = logging.StreamHandler()
    log.addHandler(handler)

    def speak():
        for number in range(3):
            log.warning("logged %d", number)
            print(f"printed {number}", file=sys.stderr)

    try:
        run = Run(often=9, act=speak)
        with LiveView(run, console=console):
            assert run.was_seen.wait(30)
        assert handler.stream is stderr
    finally:
        log.removeHandler(handler)
    expected = [f"{word} {number}" for number in range(3) for word in ("logged", "printed")]
    assert expected == screen(stderr.getvalue())


def test_the_picture_is_painted_in_place(monkeypatch):
    stderr, console = terminal(monkeypatch)
    run = Run()
    with LiveView(run, console=console) as view:
        assert run.was_seen.wait(30)
        text = stderr.getvalue()
    assert 1 == sum("of 1,000" in each for each in screen(text[: text.rindex("\x1b[1A")]))
    assert 0 < view.seconds


def test_a_terminal_that_gets_narrower_keeps_no_remains(monkeypatch):
    stderr, console = terminal(monkeypatch, 140)
    run = Run(often=6, act=lambda: setattr(console, "width", 40))
    with LiveView(run, console=console):
        assert run.was_seen.wait(30)
    rows = [text.count("\x1b[1A") for text in stderr.getvalue().split("of 1,000")[1:-1]]
    assert rows.count(max(rows)) == 1  # what each wrapped line took is erased, too, once
    assert max(rows) > rows[-1]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {}], ids=["dumb", "no terminal"])
def test_elsewhere_there_are_plain_lines(monkeypatch, variables):
    stderr, console = terminal(monkeypatch, real=bool(variables), _environ=variables)
    run = Run()
    with LiveView(run, console=console):
        assert run.was_seen.wait(30)
    text = stderr.getvalue()
    assert "\x1b" not in text
    assert "of 1,000" in text.splitlines()[0]


def test_no_color_is_heeded(monkeypatch):
    stderr, console = terminal(monkeypatch, no_color=True)
    run = Run()
    with LiveView(run, console=console):
        assert run.was_seen.wait(30)
    assert "of 1,000" in stderr.getvalue()
    assert "\x1b[3" not in stderr.getvalue()  # colours of the foreground


@pytest.mark.parametrize("options", [{"quiet": True}, {"shared_screen": True}])
def test_nothing_is_shown_where_nobody_wants_it(monkeypatch, options):
    stderr, console = terminal(monkeypatch)
    run = Run()
    with LiveView(run, console=console, **options):
        pass
    assert ("", 0) == (stderr.getvalue(), run.looks)


def test_a_plot_goes_to_stderr_and_keeps_to_its_encoding(monkeypatch):
    stderr = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stderr)
    live.show_plot(Report())
    stderr.seek(0)
    assert "outcomes a second" in stderr.read()
    monkeypatch.setattr(sys, "stderr", None)
    live.show_plot(Report())


def test_without_a_stderr_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with LiveView(Run()):
        pass


def test_a_terminal_that_goes_away_disturbs_nothing(monkeypatch):
    """The view ends, the run does not."""
    stderr, console = terminal(monkeypatch)

    def vanish():
        def gone(*_):
            raise OSError(5, "gone")

        stderr.write = gone

    run = Run(often=2, act=vanish)
    with LiveView(run, console=console):
        assert run.was_seen.wait(30)


def test_the_workers_of_a_cluster_have_a_row():
    """With what each has; without a cluster there is none."""
    now = Progress(
        at=1.0, seconds=1.0, known=9, fetched=1, workers={"tcp://10.0.0.1:4711": 3, "tcp://10.0.0.2:4711": 5}
    )
    estimate = Estimate(None)
    estimate.see(now)
    shown = "\n".join(each.plain for each in picture(estimate, 100))
    assert "workers  " in shown
    assert "tcp://10.0.0.1:4711 3   tcp://10.0.0.2:4711 5" in shown
    assert "2 workers" in line(estimate)
    estimate.see(Progress(at=2.0, seconds=2.0, known=9, fetched=2))
    assert "workers" not in "\n".join(each.plain for each in picture(estimate, 100))
