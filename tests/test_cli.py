"""The command line: JSON Lines, exit codes, bad input, signals."""

import json
import os
import signal
import subprocess
import sys

COMMAND = [sys.executable, "-m", "workerpool"]


def fetch(*arguments, **options):
    return subprocess.run(
        [*COMMAND, "fetch", *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )


def lines(text: str) -> list[dict]:
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: line["index"])


def test_fetch_writes_a_line_for_each_url(shared_site):
    """All good: exit 0, one JSON line each, a summary on stderr only."""
    done = fetch(shared_site.url_for("/fast/1"), shared_site.url_for("/redirect/1"))
    first, second = lines(done.stdout)
    assert 0 == done.returncode
    assert (200, 1024, 1, None) == (first["status"], first["bytes"], first["attempts"], first["error"])
    assert shared_site.url_for("/fast/0") == second["final_url"]
    assert "2 fetched, 0 failed" in done.stderr


def test_fetch_reads_a_list_from_stdin(shared_site):
    """-i - reads a URL a line; empty lines and comments are skipped."""
    listed = f"# a list\n\n{shared_site.url_for('/fast/1')}\n  {shared_site.url_for('/fast/2')}  \n"
    done = fetch("-i", "-", "-q", "--body", input=listed)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["fast page 1", "fast page 2"] == [line["body"][:11] for line in lines(done.stdout)]


def test_fetch_goes_on_after_a_bad_line(shared_site, tmp_path):
    """A line that is no URL, and a status of 400 or more, are failures with a line each; exit 1."""
    (tmp_path / "urls").write_text(
        f"nonsense\n{shared_site.url_for('/status/404')}\n{shared_site.url_for('/fast/1')}\n"
    )
    done = fetch("-i", tmp_path / "urls", "-o", tmp_path / "out", "-H", "X-A: b")
    bad, missing, good = lines((tmp_path / "out").read_text())
    assert (1, "") == (done.returncode, done.stdout)
    assert ("nonsense", "InvalidRequest") == (bad["url"], bad["error"]["type"])
    assert (404, 200) == (missing["status"], good["status"])
    assert "3 fetched, 2 failed" in done.stderr


def test_fetch_refuses_wrong_usage(shared_site):
    """No URL, a missing list, an impossible option: exit 2 and a cure."""
    url = shared_site.url_for("/fast/1")
    for arguments in (
        [],
        ["-i", "no-such-file"],
        ["--connections", "-1", url],
        ["-H", "nonsense", url],
        ["--timeout", "0", url],
    ):
        done = fetch(*arguments)
        assert (2, "") == (done.returncode, done.stdout)
        assert "Error" in done.stderr
        assert "Traceback" not in done.stderr


def test_fetch_says_when_it_cannot_write(shared_site, tmp_path):
    """An output that cannot be written: exit 4, the file named."""
    done = fetch(shared_site.url_for("/fast/1"), "-o", tmp_path / "none" / "out")
    assert 4 == done.returncode
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr


def test_fetch_ends_quietly_when_the_reader_has_gone(shared_site):
    """`| head -1` gives no traceback."""
    urls = " ".join(shared_site.url_for(f"/fast/{n}") for n in range(300))
    done = subprocess.run(
        f"{sys.executable} -m workerpool fetch -q {urls} | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 1 == len(done.stdout.splitlines())
    assert "" == done.stderr


def test_ctrl_c_ends_with_130(site):
    """An interrupt ends the run at once, without a traceback."""
    process = subprocess.Popen(
        [*COMMAND, "fetch", "-q", site.url_for("/hold/1")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    site.wait_in_flight(1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (130, "") == (process.returncode, stderr)


def test_a_missing_extra_names_the_cure(tmp_path):
    """Without click the command says what to install."""
    (tmp_path / "click.py").write_text("raise ImportError('blocked', name='click')")
    done = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"},
    )
    assert 2 == done.returncode
    assert "pip install 'aiohttp-workerpool[cli]'" in done.stderr


def test_the_demo_ends_well():
    """The demo gets every page right, both ways, and shows the speed-up."""
    done = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode
    assert "times as fast" in done.stdout
