"""The command line: JSON Lines, exit codes, bad input, signals, what is shown."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import click
import forged
import pytest
from click.testing import CliRunner
from servers import Scripted

from workerpool._version import __version__
from workerpool_cli.command import COMMANDS, command

COMMAND = [sys.executable, "-m", "workerpool"]
started = []
FIELDS = ["index", "url", "status", "reason", "bytes", "elapsed", "attempts", "final_url", "error"]


def run(*arguments, **options):
    if forged.may_run(options):
        return forged.run(*arguments, **options)
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=80, check=False, **options)


def fetch(*arguments, **options):
    return run("fetch", *arguments, **options)


def start(*arguments, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    started.append(subprocess.Popen([*COMMAND, "fetch", *arguments], **pipes))
    return started[-1]


@pytest.fixture(autouse=True)
def nothing_runs_on():
    """What a failed test has left running is no trouble of the next one."""
    yield
    while started:
        with started.pop() as process:
            process.kill()


def lines(text: str) -> list[dict]:
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: line["index"])


def test_fetch_writes_a_line_for_each_url(shared_site):
    """All good: exit 0, one JSON line each, a summary on stderr only."""
    done = fetch(shared_site.url_for("/fast/1"), shared_site.url_for("/redirect/1"))
    first, second = lines(done.stdout)
    assert 0 == done.returncode
    assert FIELDS == list(first)
    assert (200, 1024, 1, None) == (first["status"], first["bytes"], first["attempts"], first["error"])
    assert shared_site.url_for("/fast/0") == second["final_url"]
    assert "2 fetched, 0 failed" in done.stderr


def test_fetch_reads_a_list_from_stdin(shared_site):
    """-i - reads a URL a line; blank lines and comments are skipped."""
    listed = f"# a list\n\n{shared_site.url_for('/fast/1')}\n  {shared_site.url_for('/fast/2')}  \n"
    done = fetch("-i", "-", "-q", "--body", input=listed)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["fast page 1", "fast page 2"] == [line["body"][:11] for line in lines(done.stdout)]


def test_fetch_takes_arguments_first_and_then_the_file(shared_site, tmp_path):
    """Both are fetched, in this order; a byte order mark and Windows line ends do no harm."""
    (tmp_path / "urls").write_bytes(b"\xef\xbb\xbf" + shared_site.url_for("/fast/2").encode() + b"\r\n")
    done = fetch("-q", "-i", tmp_path / "urls", shared_site.url_for("/fast/1"))
    assert [shared_site.url_for("/fast/1"), shared_site.url_for("/fast/2")] == [
        line["url"] for line in lines(done.stdout)
    ]


def test_fetch_goes_on_after_a_bad_line(shared_site, tmp_path):
    """A line that is no URL, and a status of 400 or more, are failures with a line each; exit 1."""
    (tmp_path / "urls").write_text(
        f"nonsense\n{shared_site.url_for('/status/404')}\n{shared_site.url_for('/fast/1')}\n"
    )
    done = fetch("-i", tmp_path / "urls", "-o", tmp_path / "out")
    bad, missing, good = lines((tmp_path / "out").read_text())
    assert (1, "") == (done.returncode, done.stdout)
    assert ("nonsense", "InvalidRequest", None) == (bad["url"], bad["error"]["type"], bad["status"])
    assert (404, 200) == (missing["status"], good["status"])
    assert "3 fetched, 2 failed" in done.stderr


def test_fetch_goes_on_after_a_line_that_is_no_text(shared_site, tmp_path):
    """Its bytes are an error of that line, and the rest is fetched."""
    urls = tmp_path / "urls"
    urls.write_bytes(b"\xff\xfe\n" + shared_site.url_for("/fast/1").encode() + b"\n")
    found = fetch("-i", str(urls))
    assert 1 == found.returncode
    assert ["InvalidRequest", None] == [(line.get("error") or {}).get("type") for line in lines(found.stdout)]


def test_no_fail_status_takes_any_answer_as_good(shared_site):
    """With --no-fail-status a 404 is an answer like another; no answer is still a failure."""
    url = shared_site.url_for("/status/404")
    assert 1 == fetch("-q", "--fail-status", url).returncode
    assert 0 == fetch("-q", "--no-fail-status", url).returncode
    assert 1 == fetch("-q", "--no-fail-status", url, "nonsense").returncode


def test_an_error_tells_its_stage_and_attempts(free_port):
    """Where nobody listens the line says how far it came and how often it was tried."""
    (line,) = lines(fetch("-q", f"http://127.0.0.1:{free_port}/").stdout)
    assert ("ConnectError", "connect") == (line["error"]["type"], line["error"]["stage"])
    assert line["attempts"] >= 1


def test_headers_go_with_every_request(shared_site):
    """-H may be given again and again; spaces around the value do not count."""
    done = fetch("-q", "--body", "-H", "X-A: b c", "-H", "X-D:e:f", shared_site.url_for("/echo"))
    headers = json.loads(lines(done.stdout)[0]["body"])["headers"]
    assert ("b c", "e:f") == (headers["X-A"], headers["X-D"])


def test_the_line_holds_the_url_as_given_and_stderr_no_secret(free_port):
    """The data lets the user find the input again; what people and logs get to see is redacted."""
    url = f"http://me:secret1@127.0.0.1:{free_port}/?key=secret2"
    done = fetch(url, "-H", "Authorization: secret3")
    (line,) = lines(done.stdout)
    assert url == line["url"]
    assert "secret" not in done.stderr + json.dumps(line["error"])


@pytest.mark.parametrize("header", ["Authorization Bearer secret", "Bearer secret:rest", ": secret"])
def test_a_malformed_header_is_refused_without_telling_it(shared_site, header):
    """A typing mistake does not put a secret on the screen: exit 2, the number instead."""
    done = fetch("-H", "X-A: b", "-H", header, shared_site.url)
    assert (2, "") == (done.returncode, done.stdout)
    assert "-H number 2" in done.stderr
    assert "secret" not in done.stderr


def test_control_characters_of_a_server_are_escaped():
    """An escape sequence in the reason reaches the output as \\u001b, and no terminal."""
    with Scripted([b"HTTP/1.1 200 \x1b[31mOK\xff\r\nContent-Length: 0\r\n\r\n"], closes=True) as server:
        done = fetch(server.url)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.isascii()
    assert "\\u001b" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ([], "-i (- for stdin)"),
        (["-i", "no-such-file"], "'no-such-file' cannot be read; give a file"),
        (["-i", "."], "is a directory"),
        (["--connections", "-1", "http://host/"], "--connections"),
        (["--workers", "0", "http://host/"], "--workers"),
        (["--timeout", "0", "http://host/"], "timeout"),
        (["--timeout", "nan", "http://host/"], "timeout"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_names_the_thing_and_the_cure(arguments, cure):
    """What cannot be: exit 2, nothing on stdout, no traceback."""
    done = CliRunner().invoke(command, ["fetch", *arguments])
    assert (2, "") == (done.exit_code, done.stdout)
    assert cure in done.stderr


def test_the_output_may_not_overwrite_the_input(tmp_path):
    """-i and -o with one file: exit 2, and the list is as it was."""
    (tmp_path / "urls").write_text("http://host/\n")
    (tmp_path / "link").symlink_to(tmp_path / "urls")
    done = fetch("-i", tmp_path / "urls", "-o", tmp_path / "link")
    assert 2 == done.returncode
    assert "would overwrite the input" in done.stderr
    assert "http://host/\n" == (tmp_path / "urls").read_text()


def test_wrong_usage_leaves_the_output_alone(tmp_path):
    """An impossible option is refused before the results of an earlier run are overwritten."""
    (tmp_path / "out").write_text("earlier")
    assert 2 == fetch("--timeout", "0", "http://host/", "-o", tmp_path / "out").returncode
    assert "earlier" == (tmp_path / "out").read_text()


def test_fetch_says_when_it_cannot_write(shared_site, tmp_path):
    """An output that cannot be opened: exit 4, the file named."""
    done = fetch(shared_site.url_for("/fast/1"), "-o", tmp_path / "none" / "out")
    assert 4 == done.returncode
    assert str(tmp_path / "none" / "out") in done.stderr
    assert 1 == len(done.stderr.splitlines())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("output", [[], ["-o", "/dev/full"]], ids=["stdout", "file"])
def test_fetch_says_when_the_disk_is_full(shared_site, output):
    """A full disk on the way: exit 4 and one line, whichever way the output was given."""
    with open("/dev/full", "w") as full:
        process = start("-q", *output, shared_site.url_for("/fast/1"), stdout=full)
        _, stderr = process.communicate(timeout=80)
    assert 4 == process.returncode
    assert ("No space left" in stderr, 1) == (True, len(stderr.splitlines()))


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_standard_files_do_no_harm(shared_site, closed):
    """Started without stdin, stdout or stderr, as some daemons do, it ends with its own exit code."""
    url = shared_site.url_for("/fast/1")
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *COMMAND, "fetch", url], capture_output=True, timeout=80)
    assert (4 if closed == ">&-" else 0) == done.returncode


def test_fetch_ends_quietly_when_the_reader_has_gone(shared_site, tmp_path):
    """`| head -1` gives its one line and nothing on stderr."""
    (tmp_path / "urls").write_text("".join(shared_site.url_for(f"/fast/{n}\n") for n in range(500)))
    with start("-q", "-i", str(tmp_path / "urls"), "--body") as process:
        first = process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
    assert 200 == json.loads(first)["status"]
    assert (1, "") == (process.returncode, stderr)


def test_ctrl_c_ends_with_130_and_keeps_what_is_finished(site, tmp_path):
    """An interrupt ends the run at once, without a traceback; finished lines are in the file."""
    process = start("-o", str(tmp_path / "out"), site.url_for("/fast/1"), site.url_for("/hold/1"))
    wait_for(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().endswith("\n"), process)
    site.wait_in_flight(1, 30)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=80)
    assert 130 == process.returncode
    assert [site.url_for("/fast/1")] == [line["url"] for line in lines((tmp_path / "out").read_text())]
    assert "1 of 2 fetched, 0 failed" in stderr
    assert "Traceback" not in stderr
    site.wait_in_flight(0)


def test_ctrl_c_ends_a_wait_for_stdin(site):
    """Also while the next URL has not come yet; -q says nothing."""
    with start("-q", "-i", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(site.url_for("/hold/1\n"))
        process.stdin.flush()
        site.wait_in_flight(1, 30)
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(80)
        assert "" == process.stderr.read()


STRUCK = """
import os, signal, threading
from workerpool_cli import main

def strike():
    os.read({}, 1)
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=strike, daemon=True).start()
main()
"""


def test_ctrl_c_ends_a_wait_for_stdin_that_it_does_not_interrupt(site):
    """As one does that comes just before the read(), or on another thread."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-c", STRUCK.format(theirs), "fetch", "-q", "-i", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[theirs])
    started.append(process)
    process.stdin.write(site.url_for("/hold/1\n"))
    process.stdin.flush()
    site.wait_in_flight(1, 30)
    os.write(ours, b"!")
    assert (130, "") == (process.wait(80), process.stderr.read())
    os.close(theirs)
    os.close(ours)


def wait_for(true, process) -> None:
    """Ask again and again, for what another process does gives no event; its end is a failure."""
    while not true():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"ended early with {process.returncode}: {process.stderr.read()}")


def test_without_a_terminal_there_are_plain_lines(shared_site):
    """No escape sequence and no bar where stderr is a file."""
    done = fetch(shared_site.url_for("/fast/1"))
    assert (True, 1) == (done.stderr.isascii(), len(done.stderr.splitlines()))


@pytest.mark.parametrize(("listed", "has_eta"), [(True, True), (False, False)], ids=["file", "stdin"])
def test_a_terminal_gets_a_bar(site, tmp_path, listed, has_eta):
    """On a terminal rate and failures are live; the time to go too, where the total is known."""
    urls = "".join(site.url_for(f"{path}\n") for path in ("/fast/1", "/status/404", "/hold/1"))
    (tmp_path / "urls").write_text(urls)
    ours, theirs = pty.openpty()
    with (tmp_path / "urls").open() as stdin, open(ours, "rb", buffering=0) as screen:
        process = start(
            "-i", str(tmp_path / "urls") if listed else "-", "-o", str(tmp_path / "out"),
            stdin=stdin, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"1 failed" not in seen or (b"2/3" if listed else b"2/?") not in seen:
            seen += screen.read(65536)
        site.release()
        process.communicate(timeout=80)
    assert 1 == process.returncode
    assert has_eta == (b"ETA" in seen)
    assert b"/s" in seen


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_missing_extra_names_the_cure(tmp_path, missing):
    """Without click or rich the command says in one line what to install: exit 2."""
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('blocked', name={missing!r})")
    done = run("demo", "--help", env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"})
    assert (2, "") == (done.returncode, done.stdout)
    assert f"workerpool: {missing} is missing; install it: pip install 'aiohttp-workerpool[cli]'\n" == done.stderr


def test_help_and_version_are_there():
    """--version tells the package's; the help of the command loads no library."""
    assert f"workerpool, version {__version__}\n" == run("--version").stdout
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    script = [sys.executable, "-c", "from workerpool_cli import main; main()", "--help"]
    helped = subprocess.run(script, capture_output=True, text=True, timeout=80, check=True, env=environment)
    assert "Usage: workerpool" in helped.stdout
    assert "aiohttp.client" not in helped.stderr
    assert "aiohttp.client" in run("fetch", "-q", "http://127.0.0.1:1/", env=environment).stderr
    for arguments in (["--help"], ["fetch", "--help"], ["demo", "--help"]):
        assert 0 == CliRunner().invoke(command, arguments).exit_code


def test_the_doctor_reports_without_secrets():
    """Versions, loop, GIL, limits, a round trip; a proxy's password is left out."""
    done = run("doctor", env={**os.environ, "HTTPS_PROXY": "http://user:secret@127.0.0.1:3128"})
    assert (0, "") == (done.returncode, done.stderr)
    found = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert {"python", "aiohttp", "gil", "event loop", "open files", "proxies", "round trip"} <= found.keys()
    assert found["event loop"].strip() in ("uvloop", "asyncio")
    assert "µs" in found["round trip"]
    assert "127.0.0.1:3128" in found["proxies"]
    assert "secret" not in done.stdout


def test_the_list_of_commands_says_what_they_say():
    """The list is written without loading the commands; each is there, with the beginning of its own help."""
    for name, line in COMMANDS.items():
        found = command.get_command(click.Context(command), name)
        assert (found.help or "").startswith(line), name


@pytest.mark.slow
@pytest.mark.parametrize("client", ["requests", "urllib"])
def test_the_demo_ends_well(tmp_path, client):
    """The demo gets every page right, every way, with requests or without, and compares."""
    path = os.getcwd()
    if client == "urllib":
        (tmp_path / "requests.py").write_text("raise ModuleNotFoundError('blocked', name='requests')")
        path = f"{tmp_path}:{path}"
    done = run("demo", env={**os.environ, "PYTHONPATH": path})
    rows = [[cell.strip() for cell in line.split("│")] for line in done.stdout.splitlines() if " 400 " in line]
    assert 0 == done.returncode
    ways = f"{client}, one at a time", f"{client}, 32 threads", "workerpool"
    assert [[way, "400", "0"] for way in ways] == [row[1:4] for row in rows]
    assert "speed-up" in done.stdout
