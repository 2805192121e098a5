"""The command line's limits and requests, and what it says of trouble: in its own words, with a cure."""

import json
import os
import subprocess
import sys

import forged
import pytest
from click.testing import CliRunner

from workerpool.cli.progress import show_table, show_text
from workerpool_cli.command import command


def fetch(*arguments, **options):
    if forged.may_run(options):
        return forged.run("fetch", *arguments, **options)
    run = [sys.executable, "-m", "workerpool", "fetch", *map(str, arguments)]
    return subprocess.run(run, capture_output=True, text=True, timeout=80, check=False, **options)


def first(done):
    return json.loads(done.stdout.splitlines()[0])


def test_limits_per_host_hold(site):
    """--per-host says how many requests a host sees at once."""
    done = fetch("-q", "--per-host", 2, *(site.url_for(f"/slow/{n}?delay=0.02") for n in range(12)))
    assert (0, 2) == (done.returncode, site.max_in_flight)


def test_no_url_is_lost_to_the_own_limits(site):
    """A timeout far shorter than the whole run, behind a rate and few connections: all are fetched."""
    urls = [site.url_for(f"/fast/{n}") for n in range(40)]
    done = fetch("--rate", 20, "--per-host-rate", 30, "--connections", 1, "--timeout", 1, *urls)
    assert (0, 40) == (done.returncode, len(done.stdout.splitlines()))
    assert "40 fetched, 0 failed" in done.stderr


@pytest.mark.parametrize(("retries", "status", "attempts"), [(0, 503, 1), (1, 200, 2)])
def test_retries(site, retries, status, attempts):
    """--retries counts what comes after the first attempt."""
    line = first(fetch("-q", "--retries", retries, site.url_for("/flaky/1")))
    assert (status, attempts) == (line["status"], line["attempts"])


@pytest.mark.parametrize(
    ("options", "method", "body"),
    [(["-X", "delete"], "DELETE", ""), (["-d", "a=1"], "POST", "a=1"), (["-X", "PUT", "-d", "@body"], "PUT", "file")],
)
def test_method_and_data(site, tmp_path, options, method, body):
    """-X and -d say what is sent to each URL; @ reads a file."""
    (tmp_path / "body").write_text("file")
    done = fetch("-q", "--body", *options, site.url_for("/echo"), cwd=tmp_path, env=_importable())
    echo = json.loads(first(done)["body"])
    assert (method, body) == (echo["method"], echo["body"])


def test_insecure(workerpool_tls_server):
    """A certificate of an authority that nobody knows is refused, and taken with --insecure."""
    url = workerpool_tls_server.url_for("/fast/1")
    assert "TLSError" == first(fetch("-q", "--retries", 0, url))["error"]["type"]
    assert 200 == first(fetch("-q", "--insecure", url))["status"]


def test_proxy(site, free_port):
    """--proxy is asked for everything."""
    line = first(fetch("-q", "--retries", 0, "--proxy", f"http://me:secret@127.0.0.1:{free_port}", site.url))
    assert "ProxyError" == line["error"]["type"]
    assert "secret" not in line["error"]["message"]
    assert 0 == site.hits


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["--timeout", "0"], "'--timeout': 0 is not above 0"),
        (["--rate", "x"], "'--rate': 'x' is no number"),
        (["--per-host-rate", "inf"], "'--per-host-rate': inf is not above 0"),
        (["--proxy", "nowhere"], "--proxy must be"),
        (["-X", "GET IT"], "-X 'GET IT' is no method"),
        (["-d", "@no-such-file"], "-d '@no-such-file' cannot be read"),
    ],
)
def test_wrong_options_are_told_by_name(options, cure):
    """Exit 2, in words of the command: it has no lanes."""
    done = CliRunner().invoke(command, ["fetch", *options, "http://host/"])
    assert (2, "") == (done.exit_code, done.stdout)
    assert cure in done.stderr
    assert "lane" not in done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("nope", "did you mean http://nope?"),
        ("localhost:8080/a?b=1", "did you mean http://localhost:8080/a?b="),
        ("7,http://host/,title", "no URL; give one a line, and nothing else"),
        ("ftp://host/", "only http:// and https:// URLs are fetched"),
    ],
)
def test_a_line_that_is_no_url_is_told_so(line, told):
    """The message names what is missing, and no lane."""
    done = fetch("-q", "-i", "-", input=line + "\n")
    error = first(done)["error"]
    assert (1, "InvalidRequest") == (done.returncode, error["type"])
    assert told in error["message"]
    assert "lane" not in error["message"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit of open files")
def test_too_many_open_files_are_not_the_outputs_fault():
    """Where the system refuses, that is told, and not a place that has nothing to do with it."""
    import resource

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (22, 22))

    done = fetch("--workers", 4, "http://127.0.0.1:1/", preexec_fn=few_files)
    assert 4 == done.returncode
    assert "stdout" not in done.stderr
    assert "the system refuses: Too many open files; fewer --workers" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_output_that_is_dead_is_all_that_is_told(site):
    """No summary that counts nothing as fetched."""
    done = fetch(site.url_for("/fast/1"), "-o", "/dev/full")
    assert (4, 1) == (done.returncode, len(done.stderr.splitlines()))
    assert "cannot read or write '/dev/full': No space left" in done.stderr


@pytest.mark.parametrize("columns", [20, 40, 80, 140])
def test_no_word_is_cut(columns, monkeypatch, capsys):
    """Tables and texts fit the terminal; where a table cannot, each cell has a line."""
    monkeypatch.setenv("COLUMNS", str(columns))
    words = ["requests,", "one", "at", "a", "time", "1352", "22.0x", "pages/s", "speed-up"]
    show_table("Title", ("", "pages/s", "speed-up"), [("requests, one at a time", "1352", "22.0x")])
    show_text(" ".join(words))
    out = capsys.readouterr().out
    assert all(out.count(word) >= 2 for word in words)
    assert max(len(line.rstrip()) for line in out.splitlines()) <= max(columns, 24)


def _importable():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
