"""docs/service.md: each line of curl runs against a service, as does its Python; each call of the service has one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from served import served
from servers import Handler, handled

from workerpool.service.guard import own_hosts

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```\n```(\w+)\n(.*?)```", PAGE, re.S)
UNIT = ROOT / "examples" / "workerpool.service"


class Hello(Handler):
    def do_GET(self):
        is_there = not self.path.startswith("/missing")
        self.answer(200 if is_there else 404, b"hello" if is_there else b"absent", {"Content-Type": "text/plain"})


@pytest.fixture(scope="module")
def example():
    """What stands for https://example.org."""
    with handled(Hello) as url:
        yield url.rstrip("/")


def documents(text):
    """Return the JSON documents of a text, one behind the other."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while rest := text[at:].strip():
        at = len(text) - len(text[at:].lstrip())
        assert rest
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def difference(expected, actual, place=""):
    """Return where an answer is other than the page says; it may have more fields, and `...` is anything."""
    if expected == "...":
        return None
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = (difference(value, actual.get(name, "nothing"), f"{place}/{name}") for name, value in expected.items())
        return next(filter(None, found), None)
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        found = (difference(*pair, f"{place}/{n}") for n, pair in enumerate(zip(expected, actual, strict=True)))
        return next(filter(None, found), None)
    return None if expected == actual else f"{place}: {actual!r} and not {expected!r}"


def looks_like(expected, actual):
    """Whether a text is as the page says; `...` is anything, and blanks within JSON do not matter."""
    tight, found = (re.sub(r"(?<=[:,]) ", "", each.strip()) for each in (expected, actual))
    return re.fullmatch(re.escape(tight).replace(re.escape("..."), ".*?"), found, re.S) is not None


def calls(text):
    """Yield method and path of each line of curl."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if path := re.search(r"curl .*?\$URL(/[^ ?\")|]*)", line):
            named = re.search(r"-X (\w+)", line)
            yield named[1] if named else "POST" if re.search(r" -d | --data-binary ", line) else "GET", path[1]


def leads_to(route, path):
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path)


def test_each_line_runs_and_answers_so(database, tmp_path, example):
    """From the first to the last, in one shell's environment, each answer compared."""
    with served(database, tmp_path) as service:
        script = tmp_path / "workerpool"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m workerpool "$@"\n')
        script.chmod(0o755)
        environment = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "URL": service.url, "DATABASE": database, "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        for command, kind, expected in BLOCKS:
            here, there = (text.replace("https://example.org", example) for text in (command, expected))
            here = re.sub(r"export URL=.*\n", "", here)
            done = subprocess.run(["bash", "-u"], input=here, capture_output=True, text=True, timeout=80, check=False,
                                  env=environment, cwd=tmp_path)  # fmt: skip
            if kind == "json":
                assert None is difference(documents(there), documents(done.stdout)), (command, done)
            else:
                assert looks_like(there, done.stdout), (command, done)


def test_each_call_has_a_line(shared):
    """What the OpenAPI document has, the page has."""
    written = list(calls("".join(command for command, _, _ in BLOCKS)))
    missing = [
        f"{method.upper()} {route}"
        for route, methods in shared.get("/openapi.json")["paths"].items()
        for method in methods
        if not any(method.upper() == verb and leads_to(route, path) for verb, path in written)
    ]
    assert [] == missing


def test_the_pages_python_runs(shared, example, capsys):
    """As it stands, but for where the service is."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(code.replace("http://127.0.0.1:8765", shared.url).replace("https://example.org", example), {})
    *rows, state, first, second, third, fourth, fifth = capsys.readouterr().out.splitlines()
    assert ["0 200 True 5", "1 404 False 6"] == sorted(rows)
    assert ("partial", {"hello"}) == (state, {first, second, third, fourth, fifth})


def test_the_unit_is_good():
    """As systemd sees it; and what it runs is a command that there is."""
    try:
        done = subprocess.run(
            ["systemd-analyze", "verify", UNIT], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        if os.getenv("CI"):
            raise
        pytest.skip("there is no systemd-analyze")
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("name", ["workerpool.service", "Dockerfile"])
def test_the_examples_give_options_that_there_are(name):
    """A renamed option would stop a service at its next start only."""
    text = (ROOT / "examples" / name).read_text()
    (line,) = re.findall(r"^(?:ExecStart|ENTRYPOINT)\b.*", text, re.M)
    options = set(re.findall(r"--[a-z-]+", line))
    done = subprocess.run([sys.executable, "-m", "workerpool", "serve", "--help"], capture_output=True, text=True,
                          timeout=60, check=True, cwd=ROOT)  # fmt: skip
    assert options
    assert options <= set(re.findall(r"--[a-z-]+", done.stdout))


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_who_listens_everywhere_is_called_by_loopback_too(host):
    """As a container's own check of its health does; other names have to be given."""
    assert {"127.0.0.1:80", "localhost:80", "[::1]:80", "me.example"} <= own_hosts(host, 80, ["me.example"])
    assert "you.example:80" not in own_hosts(host, 80, ["me.example"])
