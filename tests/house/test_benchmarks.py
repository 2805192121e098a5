"""The benchmarks run; what they measure is judged by people, not here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from benchmarks.check import losses
from benchmarks.contestants import CONTESTANTS
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import Server
from workerpool.testing.scripted import ScriptedSite, TlsSite

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


def _installed(scenario):
    return [name for name in SCENARIOS[scenario].contestants if CONTESTANTS[name].is_installed]


def _contestant(name, url, *options):
    return _run("benchmarks.contestants", name, "--url", url, "--requests", "4", "--connections", "2", *options)


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
        ("headers", "100", ",".join(_installed("headers"))),
        ("64k", "100", "aiohttp,pool-bulk,pool-blocking"),
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
@pytest.mark.parametrize("scenario", ["gzip", "gzip-4k", "tls", "tls-new"])
def test_each_scenario_of_nginx_runs(scenario):
    """Packed bodies have the right size, and certificates are good, over kept connections and new ones."""
    names = _installed(scenario)
    assert names == _rows(scenario, "--requests", "10", "--only", ",".join(names))[1]


@pytest.mark.parametrize("name", _installed("tls"))
def test_a_contestant_refuses_another_authoritys_certificate(name, tmp_path):
    """None is fast because it does not verify."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca")
    with TlsSite() as site:
        done = _contestant(name, site.url_for("/fast/1"), "--ca", str(tmp_path / "ca"))
    assert (1, "") == (done.returncode, done.stdout)
    assert "certificate" in done.stderr.lower()


@pytest.mark.parametrize("name", _installed("headers"))
def test_a_contestant_sends_the_callers_headers(name):
    """All of them, with each request."""
    with ScriptedSite() as site:
        done = _contestant(name, site.url_for("/fast/1"), "--headers", "10")
        assert (0, "") == (done.returncode, done.stderr)
        sent = {sum(field.startswith("X-Caller-") for field in request.headers) for request in site.requests}
    assert {10} == sent


def test_the_share_of_resumed_sessions_is_each_contestants_own(tmp_path):
    """As the server has logged it; nothing logged is nothing resumed."""
    log = tmp_path / "log"
    log.write_text("pool-bulk-1 r\npool-bulk .\npool-bulk r\npool-bulk .\npool-bulk .\n")
    server = Server("nginx", "https://127.0.0.1/page", log=log)
    assert [0.25, 1, 0] == [server.resumed(name) for name in ("pool-bulk", "pool-bulk-1", "aiohttp")]
    assert 0 == Server("nginx", "https://127.0.0.1/page").resumed("pool-bulk")


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
