"""Where the values of options come from, and what the shell gets."""

import json
import re

import pytest
from commands import run


def test_flags_before_environment_before_files_before_defaults(shared_site, tmp_path):
    """`config show` says where each comes from, secrets left out; the command goes by the same."""
    (tmp_path / "config" / "workerpool").mkdir(parents=True)
    (tmp_path / "config" / "workerpool" / "config.toml").write_text(
        'timeout = 11\nretries = 4\n[fetch]\nheader = ["X-Key: secret"]\n'
    )
    (tmp_path / "workerpool.toml").write_text("retries = 5\n[fetch]\nbody = true\n")
    environment = {"WORKERPOOL_RATE": "9", "WORKERPOOL_FETCH_RATE": "7"}
    shown = run("config", "show", folder=tmp_path, env=environment).stdout
    assert {
        "fetch.timeout = 11.0": str(tmp_path / "config/workerpool/config.toml"),
        "fetch.retries = 5": "workerpool.toml",
        "fetch.rate = 7.0": "WORKERPOOL_FETCH_RATE",
        "crawl.rate = 9.0": "WORKERPOOL_RATE",
        "fetch.header = ***": str(tmp_path / "config/workerpool/config.toml"),
    }.items() <= dict(line.split("  # ") for line in shown.splitlines() if not line.startswith("#")).items()
    assert "secret" not in shown
    done = run("fetch", "-q", shared_site.url_for("/echo"), folder=tmp_path, env=environment)
    assert "secret" == json.loads(json.loads(done.stdout)["body"])["headers"]["X-Key"]
    done = run("fetch", "-q", "--no-body", shared_site.url_for("/echo"), folder=tmp_path)
    assert "body" not in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("[fetch\n", "workerpool.toml is no TOML"),
        ("[fecth]\n", "there is no table [fecth]"),
        ("tiemout = 1\n", "no command has a setting tiemout"),
        ("[fetch]\nrestart = true\n", "[fetch] has no setting restart"),
        ("per-host = 'x'\n", "workerpool.toml: per-host: "),
        ("timeout = [1, 2]\n", "workerpool.toml: timeout: "),
    ],
)
def test_a_wrong_file_is_told_with_its_place(tmp_path, text, cure):
    """Exit 2, before anything is asked for."""
    (tmp_path / "workerpool.toml").write_text(text)
    done = run("fetch", "http://h/", folder=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert cure in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        'proxy = "http://127.0.0.1:9"', "insecure = true", 'header = "X-Key: secret"', '[fetch]\ndata = "@/etc/passwd"', '[fetch]\nmethod = "DELETE"', '[fetch]\ninput = "http://127.0.0.1:9/"',
        'sign = "key.pem"', 'sign-as = "https://example.org"', 'output = "/etc/passwd"', 'output = ["a.jsonl", "../b.jsonl"]',
        'state = "link.db"', 'save = "s3://bucket/x"', 'save = "ftp://u:secret@h/x"', 'report = "~/../../r.html"', 'state = "/s.db"',
    ],
)  # fmt: skip
def test_a_folders_file_sets_nothing_that_could_do_harm(shared_site, tmp_path, text):
    """Exit 2 with the name and the cure, before anything is asked for; named by `--config`, or as the user's, it counts."""
    (tmp_path / "home").mkdir()
    (tmp_path / "link.db").symlink_to("/etc/passwd")
    (tmp_path / "workerpool.toml").write_text(f"{text}\n")
    for command in (["fetch", shared_site.url], ["config", "show"]):
        done = run(*command, folder=tmp_path)
        assert (2, "fetch" in command) == (done.returncode, done.stdout == ""), done.stderr
        assert "say that this file is trusted: --config workerpool.toml" in done.stderr
        assert "secret" not in done.stderr
    name = re.search(r"^([a-z-]+) =", text, re.M)[1]
    shown = run("config", "show", "fetch", "--config", "workerpool.toml", folder=tmp_path)
    assert (0, True) == (shown.returncode, f"fetch.{name} = " in shown.stdout)
    assert "# workerpool.toml\n" in shown.stdout
    (tmp_path / "config" / "workerpool").mkdir(parents=True)
    (tmp_path / "workerpool.toml").rename(tmp_path / "config/workerpool/config.toml")
    assert f"fetch.{name} = " in run("config", "show", "fetch", folder=tmp_path).stdout


def test_a_file_that_is_named_is_taken_instead(shared_site, tmp_path):
    """Of the folder's own nothing counts then; flags count before both."""
    (tmp_path / "workerpool.toml").write_text("retries = 5\nno-such = 1\n")
    (tmp_path / "mine.toml").write_text('header = "X-Key: mine"\nbody = true\ntimeout = 7\n')
    done = run("fetch", "-q", "--config", "mine.toml", shared_site.url_for("/echo"), folder=tmp_path)
    assert "mine" == json.loads(json.loads(done.stdout)["body"])["headers"]["X-Key"]
    done = run("fetch", "-q", shared_site.url_for("/echo"), "--config", "mine.toml", "--no-body", folder=tmp_path)
    assert "body" not in json.loads(done.stdout)
    assert 2 == run("fetch", "--config", "none.toml", "http://h/", folder=tmp_path).returncode


def test_what_is_in_the_folder_may_be_set_by_its_file(shared_site, tmp_path):
    """As a project has it."""
    (tmp_path / "workerpool.toml").write_text('output = "out/a.jsonl"\nstate = "s.db"\nrobots = true\n')
    (tmp_path / "out").mkdir()
    done = run("fetch", "-q", shared_site.url_for("/fast/1"), folder=tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert (tmp_path / "out" / "a.jsonl").stat().st_size
    shown = run("config", "show", folder=tmp_path).stdout
    told = re.search(r"sets no (.*), and no places outside", shown)[1].split(", ")
    own = {"data", "header", "input", "insecure", "method", "proxy", "sign", "sign-as"}
    own |= {"url", "token", "token-file", "webhook"}
    assert {f"--{name}" for name in own | {"host", "public-host", "allow-address"}} == set(told)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_is_printed(tmp_path, shell):
    """For each shell, by click's own means."""
    done = run("completion", shell, folder=tmp_path)
    assert (0, True) == (done.returncode, "_WORKERPOOL_COMPLETE" in done.stdout)


def test_what_is_no_state_is_told(tmp_path):
    """Exit 2 where there is none, 4 where it is something else."""
    (tmp_path / "text").write_text("no state")
    missing, other = (run("why", "http://h/", "--state", name, folder=tmp_path) for name in ("none", "text"))
    assert (2, 4) == (missing.returncode, other.returncode)
    assert "there is no such state" in missing.stderr
    assert "no state of a run" in other.stderr
