"""The benchmarks run; what they measure is judged by people, not here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.check import losses

_ROOT = Path(__file__).parents[2]
_HAS_NGINX = shutil.which("nginx") is not None or Path("/usr/sbin/nginx").exists()


def _run(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input="\n", capture_output=True, text=True, timeout=80, check=False, cwd=_ROOT,
    )  # fmt: skip


def _rows(*arguments):
    done = _run("benchmarks", *arguments, "--rounds", "1")
    assert (0, "") == (done.returncode, done.stderr)
    _, title, _, *rows = done.stdout.splitlines()
    return title, [row.split()[0] for row in rows]


def test_the_benchmarks_print_a_row_for_each_contestant():
    """Each contestant asked for has a row, whatever the server."""
    title, rows = _rows("--requests", "100", "--only", "aiohttp,pool-bulk,requests-threads")
    assert ["aiohttp", "pool-bulk", "requests-threads"] == rows
    assert "100 requests of 1024 bytes" in title


@pytest.mark.parametrize(
    ("scenario", "requests", "contestants"),
    [
        ("one", "20", "aiohttp,pool-blocking"),
        ("many", "2000", "aiohttp,pool-bulk"),
        ("download", "1", "aiohttp-download,pool-download"),
        ("upload", "1", "aiohttp-upload,pool-upload"),
        ("noop", "100", "noop-executor,noop-pool,noop-by-hand,noop-loop"),
        ("round-trip", "100", "noop-executor,noop-pool,noop-by-hand,noop-loop"),
        ("cores", "100", "pool-bulk-1,pool-bulk-2"),
    ],
)
def test_each_scenario_runs(scenario, requests, contestants):
    """Each has its own load, and its contestants get right answers."""
    assert contestants.split(",") == _rows(scenario, "--requests", requests, "--only", contestants)[1]


def test_a_loss_is_told_and_noise_is_not():
    """A seventh more or less is noise; beyond that each ratio that got worse is named, and none that got better."""
    stored = {"pool-bulk": {"rate": 0.9, "cpu": 1.1}, "pool-blocking": {"rate": 0.7, "cpu": 1.5}}
    figures = {
        "pool-bulk": {"rate ratio": 0.78, "cpu ratio": 1.4},
        "pool-blocking": {"rate ratio": 2.0, "cpu ratio": 0.5},
    }
    assert {("pool-bulk", "cpu"): "pool-bulk cpu 1.40 of the floor's instead of 1.10"} == losses(stored, figures)
    figures["pool-bulk"] = {"rate ratio": 0.75, "cpu ratio": 1.2}
    assert [("pool-bulk", "rate")] == [*losses(stored, figures)]


needs_nginx = pytest.mark.skipif(not _HAS_NGINX and not os.getenv("CI"), reason="nginx is not installed")


@needs_nginx
def test_packed_bodies_are_unpacked():
    """The scenario with gzip gets bodies of the right size."""
    assert ["aiohttp-isal", "aiohttp", "pool-bulk"] == _rows("gzip", "--requests", "10")[1]


@needs_nginx
def test_the_benchmarks_run_against_nginx():
    """Where nginx is installed, it serves; in CI it has to be."""
    assert "bytes from nginx" in _rows("--requests", "100", "--only", "aiohttp")[0]


@pytest.mark.parametrize("name", ["aiohttp", "pool-bulk", "pool-futures", "pool-blocking", "run_coroutine_threadsafe"])
def test_a_wrong_answer_fails_a_contestant(name, site):
    """An answer of another length than expected ends the process with an error, at once."""
    arguments = ["--url", site.url_for("/fast/1"), "--requests", "8", "--connections", "2", "--size", "7"]
    done = _run("benchmarks.contestants", name, *arguments)
    assert (1, "") == (done.returncode, done.stdout)
    assert "a wrong answer: status 200, 1024 bytes; not 200, 7" in done.stderr
