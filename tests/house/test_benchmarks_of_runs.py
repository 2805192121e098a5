"""The benchmarks of whole programs and of long runs run; what they measure is judged by people, not here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fetchers.programs import PROGRAMS, Load
from benchmarks.million import Sample, told

_ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def _run(module, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=200, check=False, cwd=_ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rows(*only, more=()):
    out = _run("benchmarks.fetchers", "--urls", "40", "--rounds", "1", *(f"--only={name}" for name in only), *more)
    rows = [line.split("|")[1:-1] for line in out.splitlines() if line.startswith("| `")]
    return {row[0].split("`")[1]: [cell.strip() for cell in row[2:]] for row in rows}


def test_whole_programs_have_a_row_each():
    """With figures, where all answers are good."""
    ours = [name for name in PROGRAMS if name.startswith(("aiohttp", "workerpool"))]
    rows = _rows(*ours)
    assert ours == [*rows]
    assert all(float(cell) >= 0 for row in rows.values() for cell in (row[0], row[3], row[5]))


def test_a_program_that_fails_is_shown():
    """And one that is not there."""
    rows = _rows(
        "aiohttp in a loop", "workerpool fetch", "Scrapy", more=["--patience=0.01", f"--scrapy={sys.executable}x"]
    )
    assert rows["workerpool fetch"][0].startswith("failed: exit code -9")
    assert "failed: not installed" == rows["Scrapy"][0]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name.startswith(("aria2c", "wget2", "curl"))])
def test_bodies_count_that_are_whole(name, tmp_path):
    """Of those that write files, by their size."""
    load = Load(tmp_path / "urls", tmp_path, 1, 4)
    load.bodies.mkdir()
    for number, body in enumerate((b"good", b"bad", b"also")):
        (load.bodies / str(number)).write_bytes(body)
    assert 2 == PROGRAMS[name].good(load)


@pytest.mark.parametrize("options", [[], ["--site"]])
def test_a_long_run_tells_its_memory(options):
    """Of a list, and of a site's links."""
    out = _run("benchmarks.million", "--urls", "300", *options)
    assert re.search(r"outcomes, \d+ URLs known, .* MiB at the most in the first minute", out), out
    assert "failed 0" in out


def test_memory_is_compared_with_the_first_minute():
    """The most of it, and the most of all."""
    samples = [Sample(30, 300, 300, 50.0), Sample(60, 900, 900, 49.0), Sample(100, 1000, 2000, 51.0)]
    assert told(samples) == (
        "1,000 outcomes, 2,000 URLs known, 100 s: 10 a second, in the first minute 15; "
        "50.0 MiB at the most in the first minute, 51.0 MiB in all"
    )


def test_the_service_is_measured():
    """Its fetching, its submissions, its memory."""
    out = _run("benchmarks.service", "--requests=300", "--rounds=1", "--submissions=64", "--lines=500")
    assert re.search(r"fetching 300: .* ratio \d+\.\d\d", out), out
    assert len(re.findall(r"submissions, (?:1|16|64) clients: .* on disk", out)) == 3
    assert re.search(r"one submission of 500 lines: .* MiB above", out), out
