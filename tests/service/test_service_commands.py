"""The commands that call a service: data, exit codes, tokens, a service that restarts."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import forged
import pytest
from lines import Line
from served import served

from workerpool_cli.command import COMMANDS

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "workerpool"]
FAR = "2030-01-01T00:00:00Z"


def environment(folder, **more):
    """Return an environment without settings but those given."""
    left = {name: value for name, value in os.environ.items() if not name.startswith("WORKERPOOL_")}
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": str(ROOT)}
    return left | home | {f"WORKERPOOL_{name.upper()}": value for name, value in more.items()}


def run(folder, *arguments, given="", **settings):
    return forged.run(*arguments, input=given, cwd=folder, env=environment(folder, **settings))


def lines(done):
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def call(shared, tmp_path):
    """Call a command against the shared service."""
    return lambda *arguments, **more: run(tmp_path, *arguments, **{"url": shared.url} | more)


def test_a_job_from_its_submission_to_its_end(call, shared_site, tmp_path):
    """Submitted with --wait, shown, its results written; exit 1 says that some have failed."""
    (tmp_path / "urls.txt").write_text(f"{shared_site.url_for('/fast/1')}\n# no URL\n\nhttp://127.0.0.1:1/\n")
    done = call("submit", "-i", "urls.txt", shared_site.url_for("/fast/2"), "--id", "commands", "--label", "a:b",
                "--attempts", "1", "--wait")  # fmt: skip
    (job,) = lines(done)
    assert (1, "commands", "partial", 3, {"a": "b"}) == (
        done.returncode, job["id"], job["state"], job["counts"]["total"], job["labels"],
    )  # fmt: skip
    done = call("results", "commands", "--follow")
    rows = sorted(lines(done), key=lambda row: row["n"])
    assert (1, [200, 200, None]) == (done.returncode, [row["status"] for row in rows])
    assert ["ConnectError"] == [row["error"]["type"] for row in rows if row["error"]]
    assert isinstance(rows[0]["headers"][0], list)
    done = call("results", "commands", "--ok", "--body")
    assert (0, {1024}) == (done.returncode, {len(row["text"]) for row in lines(done)})
    for code, arguments in ((1, ["commands"]), (0, ["--label", "a:b"])):
        done = call("status", *arguments)
        assert (code, ["commands"]) == (done.returncode, [each["id"] for each in lines(done)])
    (again,) = lines(call("retry", "commands"))
    assert 2 == again["run"]
    done = call("watch", "commands")
    assert (1, "done", "commands") == (done.returncode, lines(done)[-1]["kind"], lines(done)[-1]["job"])


def test_inputs_of_all_kinds(call, tmp_path):
    """CSV by a column, JSON Lines with a method and a body, stdin; -X and -d for those that name none."""
    (tmp_path / "a.csv").write_text("name,link\nx,http://a.example/1\ny,http://a.example/2\n")
    (tmp_path / "b.jsonl").write_text(
        '{"url": "http://b.example/", "method": "PUT", "body": "tea", "headers": {"X-A": "1"}}\n'
    )
    given = {
        ("-i", "a.csv", "--column", "link"): 2, ("-i", "b.jsonl", "-X", "POST", "-d", "x", "-H", "X-B: 2"): 1,
        ("-i", "-"): 3, ("http://c.example/", "--timeout", "5", "--lane", "slow", "--priority", "3"): 1,
    }  # fmt: skip
    for arguments, total in given.items():
        done = call(
            "submit",
            *arguments,
            "--not-before",
            FAR,
            given="http://d.example/1\nhttp://d.example/2\nhttp://d.example/3\n",
        )
        (job,) = lines(done)
        assert (0, total, "queued") == (done.returncode, job["counts"]["total"], job["state"]), arguments


def test_a_key_makes_one_job_of_two_commands(call):
    """For cron, and for whoever is not sure."""
    first, second = (lines(call("submit", "http://a.example/", "--key", "k", "--not-before", FAR))[0] for _ in range(2))
    assert first["id"] == second["id"]
    (job,) = lines(call("cancel", first["id"]))
    assert "cancelled" == job["state"]


@pytest.mark.parametrize(
    ("code", "text", "arguments"),
    [
        (2, "nothing to submit", ["submit"]),
        (2, "lane", ["submit", "http://a.example/", "--lane", "a b"]),
        (2, "line 2", ["submit", "-i", "bad.jsonl"]),
        (2, "line 1: lane", ["submit", "-i", "lane.jsonl"]),
        (2, "no URL", ["submit", "-i", "empty.txt"]),
        (2, "/requests/1", ["submit", "http://a.example/", "ftp://b.example/"]),
        (2, "cannot be read", ["submit", "-i", "missing.txt"]),
        (2, "NAME:VALUE", ["submit", "http://a.example/", "--label", "team"]),
        (2, "not_before", ["submit", "http://a.example/", "--not-before", "soon"]),
        (2, "url", ["status", "--url", "ftp://a.example/"]),
        (2, "token", ["status", "--token", "a b"]),
        (2, "cannot be read", ["status", "--token-file", "missing"]),
        (2, "job", ["results", "a/b"]),
        (1, "no job nix", ["status", "nix"]),
        (1, "no job nix", ["results", "nix", "--follow"]),
        (1, "no job nix", ["cancel", "nix"]),
        (1, "no job nix", ["retry", "nix", "--all"]),
        (1, "no job nix", ["watch", "nix"]),
        (4, "does the service run", ["status", "--url", "http://127.0.0.1:1", "--call-timeout", "0.2"]),
        (4, "does the service run", ["watch", "--url", "http://127.0.0.1:1", "--call-timeout", "0.2"]),
    ],
)
def test_each_trouble_has_its_code_and_its_words(call, tmp_path, code, text, arguments):
    """On stderr, without a traceback, and with nothing on stdout."""
    (tmp_path / "bad.jsonl").write_text('{"url": "http://a.example/"}\n{"url": 5}\n')
    (tmp_path / "lane.jsonl").write_text('{"url": "http://a.example/", "lane": "x"}\n')
    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    done = call(*arguments)
    assert (code, "") == (done.returncode, done.stdout)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_tokens_are_added_listed_and_removed(service, tmp_path, shared_site):
    """Beside a service that runs: it knows them soon. Shown once; only the hash is in the file."""
    database = ("--database", service.database)
    secret = run(tmp_path, "token", "add", "--role", "read", "--name", "me", *database).stdout.strip()
    admin = run(tmp_path, "token", "add", "--role", "admin", database=service.database).stdout.strip()
    assert secret.encode() not in b"".join(path.read_bytes() for path in Path(service.database).parent.glob("*sqlite*"))
    service.wait_for(lambda: service.call("GET", "/v1/jobs").status_code == 401)
    (tmp_path / "token").write_text(f"{secret}\n")
    for way in ({"token": secret}, {"token_file": "token"}):
        assert 0 == run(tmp_path, "status", url=service.url, **way).returncode
    assert (
        0 == run(tmp_path, "status", "--token-file", "-", url=service.url, token="wrong-one", given=secret).returncode
    )
    assert 0 == run(tmp_path, "status", "--token", secret, url=service.url, token_file="missing").returncode
    done = run(tmp_path, "submit", shared_site.url_for("/fast/1"), url=service.url, token=secret)
    assert (1, True) == (done.returncode, "role" in done.stderr)
    assert 0 == run(tmp_path, "submit", shared_site.url_for("/fast/1"), url=service.url, token=admin).returncode
    rows = lines(run(tmp_path, "token", "list", *database))
    assert [("read", "me"), ("admin", "")] == [(row["role"], row["name"]) for row in rows]
    assert 0 == run(tmp_path, "token", "remove", rows[0]["id"], *database).returncode
    assert 1 == run(tmp_path, "token", "remove", rows[0]["id"], *database).returncode
    service.wait_for(lambda: run(tmp_path, "status", url=service.url, token=secret).returncode == 1)
    assert secret not in service.log
    assert not [text for text in (done.stdout, done.stderr) if secret in text]


def test_a_token_for_a_database_that_cannot_be_used(tmp_path):
    """The code and the words of `serve`; a new file is made, so that a token can be there before the first start."""
    (tmp_path / "other.sqlite").write_bytes(b"no database at all, but long enough to look like one" * 50)
    done = run(tmp_path, "token", "add", "--role", "read", "--database", "other.sqlite")
    assert (4, "", True) == (done.returncode, done.stdout, "other.sqlite" in done.stderr)
    assert 4 == run(tmp_path, "token", "list", "--database", "missing/x.sqlite").returncode
    assert 2 == run(tmp_path, "token", "add", "--database", "new.sqlite").returncode
    done = run(tmp_path, "token", "add", "--role", "submit", "--database", "new.sqlite")
    assert (0, 1) == (done.returncode, len(lines(run(tmp_path, "token", "list", "--database", "new.sqlite"))))
    with served(str(tmp_path / "new.sqlite"), tmp_path) as service:
        assert [401, 200] == [
            service.call("GET", "/v1/jobs", headers=headers).status_code
            for headers in ({}, {"Authorization": f"Bearer {done.stdout.strip()}"})
        ]


def test_settings_may_stand_in_a_file_that_is_named(shared, tmp_path):
    """URL and token for all commands; the token is not shown. A folder's own file sends no token elsewhere."""
    text = f'url = "{shared.url}"\ntoken = "hidden-one"\n[status]\nlimit = 1\n'
    (tmp_path / "mine.toml").write_text(text)
    assert 0 == run(tmp_path, "status", "--config", "mine.toml").returncode
    shown = run(tmp_path, "config", "show", "status", "--config", "mine.toml").stdout
    assert f"status.url = {shared.url}" in shown
    assert "hidden-one" not in shown
    (tmp_path / "workerpool.toml").write_text(text)
    done = run(tmp_path, "status", "--call-timeout", "0.2", token="mine-alone")
    assert (2, True) == (done.returncode, "url" in done.stderr)


def test_watch_bears_a_service_that_restarts(database, tmp_path, shared_site):
    """Its events go on where they were, and it ends with the job."""
    with Line() as line, served(database, tmp_path, "--public-host", line.host) as service:
        line.target = service.url
        id = service.submit(*[shared_site.url_for(f"/slow/1?delay=0.02&n={n}") for n in range(200)])
        command = [*COMMAND, "watch", id, "--url", line.url, "--call-timeout", "8"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)
        ) as watching:
            first = json.loads(watching.stdout.readline())
            service.stop(signal.SIGKILL)
            said = watching.stderr.readline()
            line.target = service.start().url
            rest = watching.stdout.read()  # communicate() would lose what came with the first line
        events = [first, *map(json.loads, rest.splitlines())]
    assert "workerpool: " in said
    assert (0, "done") == (watching.returncode, events[-1]["kind"])
    assert sorted({event["id"] for event in events}) == [event["id"] for event in events]
    assert 200 == sum(event["kind"] == "result" for event in events)


def test_a_live_view_ends_with_the_job(call, shared, shared_site, tmp_path):
    """On a terminal it is painted; a job that is done is shown once, and harmless whatever its labels hold."""
    id = shared.submit(shared_site.url_for("/fast/1"), labels={"team": "\x1b[31mred"})
    shared.done(id)
    for arguments in (["watch", id], ["status", id], ["results", id]):
        code, screen = on_a_terminal(tmp_path, *arguments, url=shared.url)
        assert 0 == code
        assert (id if arguments[0] != "results" else "/fast/1") in screen
        assert "\x1b[31mred" not in screen


def on_a_terminal(folder, *arguments, **settings):
    """Return the exit code, and what the terminal was sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=theirs, cwd=folder,
                          env=environment(folder, **settings) | {"TERM": "xterm", "COLUMNS": "160"}) as process:  # fmt: skip
        os.close(theirs)
        found = b""
        try:
            while piece := os.read(ours, 65536):
                found += piece
        except OSError:  # the terminal's other side is closed
            pass
    os.close(ours)
    return process.returncode, found.decode()


def test_all_jobs_are_watched_until_ctrl_c(shared, tmp_path):
    """It ends as a shell expects."""
    command = [*COMMAND, "watch", "--url", shared.url]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)
    ) as watching:
        shared.wait_for(lambda: "workerpool_service_event_clients 0.0" not in shared.call("GET", "/metrics").text)
        id = shared.submit("http://127.0.0.1:1/", not_before="2030-01-01T00:00:00Z")
        event = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        _rest, said = watching.communicate(timeout=60)
    assert (id, 130, "") == (event["job"], watching.returncode, said)


def test_a_reader_that_leaves_is_no_trouble(call, shared, shared_site, tmp_path):
    """`results | head`: exit 1, and nothing on stderr."""
    id = shared.submit(*[shared_site.url_for(f"/fast/{n}") for n in range(400)])
    shared.done(id)
    command = f"{sys.executable} -m workerpool results {id} --url {shared.url} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=80, check=False, env=environment(tmp_path)
    )
    assert ("1", "") == (done.stdout.splitlines()[-1], done.stderr)


@pytest.mark.parametrize("name", ["submit", "status", "results", "cancel", "retry", "watch", "token"])
def test_the_list_says_what_the_help_says(name):
    """The group's list begins as each command's own help; help needs no service."""
    done = subprocess.run([*COMMAND, name, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert name in COMMANDS
    assert "--token TEXT" in done.stdout or name == "token"
