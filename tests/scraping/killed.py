"""Runs that are killed at random moments, and resumed each time: `python tests/scraping/killed.py --times 100`.

    python tests/scraping/killed.py --output out.jsonl --output out.parquet --output out.warc.gz

A moment is some progress of the run's, such as more bytes on the disk, and perhaps a bit of time after it. Whatever is
killed goes on until it is complete, and the next run begins, until there were so many kills. Prints what the outputs
have lost, doubled or broken, by what one run without a kill has in them; the exit code is 1 if that is anything.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from contents import content

from workerpool.scraping import Crawl, Politeness
from workerpool.scraping.sinks.choice import sink_for
from workerpool.testing import Site

__all__ = ["Findings", "torment"]

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_STOPPED, _LOOK = 3, 0.001  # an exit code; seconds
_PATIENCE = 120.0  # seconds that a run gets to come to a moment


@dataclass
class Findings:
    """What came of all kills: rows are counted over all runs, and what is wrong is told in words."""

    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether nothing is lost, doubled or broken."""
        return not (self.lost or self.doubled or self.broken)


@dataclass(frozen=True)
class _Plan:
    """The run that is killed: what it asks for, and where to."""

    site: Site
    urls: int
    outputs: tuple[str, ...]

    def start(self, folder: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, __file__, "--child", self.site.url_for(""), str(folder), "--urls", str(self.urls)]
        command += [part for name in self.outputs for part in ("--output", name)]
        with (folder.parent / f"{folder.name}.stderr").open("wb") as stderr:
            return subprocess.Popen(command, env=os.environ, stderr=stderr)


def main() -> int:
    """Kill, resume, compare; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--urls", type=int, default=3000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--output", action="append", dest="outputs", help="by its end; may be repeated (out.jsonl)")
    arguments.add_argument("--child", nargs=2, metavar=("SITE", "FOLDER"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    outputs = tuple(given.outputs or ["out.jsonl"])
    if given.child:
        site_url, folder = given.child
        return crawl(site_url, folder, given.urls, outputs)
    with Site() as site, tempfile.TemporaryDirectory() as place:
        found = torment(site, Path(place), urls=given.urls, outputs=outputs, times=given.times, seed=given.seed)
    for name in outputs:
        print(f"{name}: kills {sum(found.kills.values())} {dict(found.kills)} in {found.runs} runs, inputs {given.urls}"
              f" each, rows {found.rows[name]}: lost {found.lost[name]}, doubled {found.doubled[name]}")  # fmt: skip
    print(f"broken {len(found.broken)}", *found.broken, sep="\n  ")
    return not found.is_good


def crawl(site: str, folder: str, urls: int, outputs: tuple[str, ...]) -> int:
    """Be the run that is killed."""
    run = Crawl(
        [f"{site}/fast/{n}" for n in range(urls)],
        state=Path(folder, "state.db"),
        sinks=[sink_for(Path(folder, name)) for name in outputs],
        politeness=Politeness(per_host=0),
        identity={"outputs": ", ".join(outputs)},
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: run.stop())
    return 0 if run.run().complete else _STOPPED


def torment(site: Site, place: Path, *, urls: int, outputs: tuple[str, ...], times: int, seed: int) -> Findings:
    """Kill runs so many times, let each go on to its end, and say what came of it."""
    chance, plan, found = random.Random(seed), _Plan(site, urls, outputs), Findings()
    clean = place / "clean"
    clean.mkdir()
    if plan.start(clean).wait():
        raise RuntimeError(f"a run without a kill has failed:\n{_said(clean)}")
    whole = {name: content(clean / name) for name in outputs}
    while sum(found.kills.values()) < times:
        folder = place / f"run {found.runs}"
        folder.mkdir()
        found.runs += 1
        if _complete(plan, folder, found, times, _Moments(site, folder, _size(clean), urls, chance)):
            for name in outputs:
                _compare(folder / name, whole[name], found)
            if (here := set(os.listdir(folder))) != (wanted := set(os.listdir(clean))):
                found.broken.append(f"{folder.name}: files {sorted(here)} instead of {sorted(wanted)}")
    return found


def _complete(plan: _Plan, folder: Path, found: Findings, times: int, moments: "_Moments") -> bool:
    """Kill one run, again and again as long as it is not complete; tell whether it came to its end."""
    while True:
        child, kind = plan.start(folder), None
        if sum(found.kills.values()) < times and moments.wait(child):
            kind = moments.chance.choice(SIGNALS)
            child.send_signal(kind)
        code = child.wait()
        if code == 0:
            return True
        if kind is not None:
            found.kills[kind.name] += 1
        if kind is None or code not in (_STOPPED, -kind):
            found.broken.append(f"{folder.name}: exit code {code} after {kind}:\n{_said(folder)}")
            return False


def _compare(path: Path, whole: Counter[object], found: Findings) -> None:
    try:
        here = content(path)
    except Exception as exc:  # whatever a reader says of it
        found.broken.append(f"{path.parent.name}: {path.name} cannot be read: {exc!r}")
        return
    found.rows[path.name] += here.total()
    if lost := (whole - here).total():
        found.lost[path.name] += lost
    if doubled := (here - whole).total():
        found.doubled[path.name] += doubled


class _Moments:
    """Wait for a moment in the life of a run, another one each time."""

    def __init__(self, site: Site, folder: Path, size: int, urls: int, chance: random.Random) -> None:
        self.chance = chance
        self._site, self._folder, self._size, self._urls = site, folder, size, urls

    def wait(self, child: "subprocess.Popen[bytes]") -> bool:
        """Wait for the moment; False where the run has ended before it."""
        has_come, end = self._choose(), monotonic() + _PATIENCE
        while not has_come():
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK)
                return False
            if monotonic() > end:
                raise RuntimeError(f"nothing goes on in {self._folder}:\n{_said(self._folder)}")
        sleep(self.chance.choice((0, 0, self.chance.uniform(0, 0.05))))  # anywhere in what follows the event
        return child.poll() is None

    def _choose(self) -> Callable[[], bool]:
        """Return what tells whether the moment has come: asked so often, so many bytes, a commit, the last steps."""
        which, part = self.chance.randrange(4), self.chance.random() ** 2
        if which == 0:
            hits = self._site.hits + 1 + int(part * self._urls)
            return lambda: self._site.hits >= hits
        if which == 1:
            size = _size(self._folder) + 1 + int(part * self._size)
            return lambda: _size(self._folder) >= size
        if which == 2:
            before, commits = _changed(self._folder), self.chance.randint(1, 4)
            seen = {before}

            def has_come() -> bool:
                seen.add(_changed(self._folder))
                return len(seen) > commits

            return has_come
        before_end = set(_names(self._folder))
        return lambda: any(name.endswith((".part", ".parquet", ".cdxj")) for name in _names(self._folder) - before_end)


def _names(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def _size(folder: Path) -> int:
    """Return the bytes of all that is there."""
    found = 0
    for each in os.scandir(folder):
        with suppress(FileNotFoundError):
            found += each.stat().st_size
    return found


def _changed(folder: Path) -> tuple[int, ...]:
    """Return what tells one commit of the state from another."""
    found = []
    for name in ("state.db", "state.db-wal"):
        with suppress(FileNotFoundError):
            about = (folder / name).stat()
            found += [about.st_mtime_ns, about.st_size]
    return tuple(found)


def _said(folder: Path) -> str:
    return folder.with_name(f"{folder.name}.stderr").read_text(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
