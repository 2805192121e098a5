"""Where the values of options come from, and what the shell gets."""

import json

import pytest
from commands import run


def test_flags_before_environment_before_files_before_defaults(shared_site, tmp_path):
    """`config show` says where each comes from, secrets left out; the command goes by the same."""
    (tmp_path / "config" / "workerpool").mkdir(parents=True)
    (tmp_path / "config" / "workerpool" / "config.toml").write_text("timeout = 11\nretries = 4\n")
    (tmp_path / "workerpool.toml").write_text('retries = 5\n[fetch]\nheader = ["X-Key: secret"]\nbody = true\n')
    environment = {"WORKERPOOL_RATE": "9", "WORKERPOOL_FETCH_RATE": "7"}
    shown = run("config", "show", folder=tmp_path, env=environment).stdout
    assert {
        "fetch.timeout = 11.0": str(tmp_path / "config/workerpool/config.toml"),
        "fetch.retries = 5": "workerpool.toml",
        "fetch.rate = 7.0": "WORKERPOOL_FETCH_RATE",
        "crawl.rate = 9.0": "WORKERPOOL_RATE",
        "fetch.header = ***": "workerpool.toml",
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
