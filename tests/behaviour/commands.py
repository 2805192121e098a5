"""What tests of the commands share: running them, and a small site whose pages are given."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import forged
from servers import Handler, handled

__all__ = ["COMMAND", "Pages", "pages", "rows", "run"]

COMMAND = [sys.executable, "-m", "workerpool"]
_ROOT = str(Path(__file__).parents[2])
Page = tuple[int, str, dict[str, str]]


def run(*arguments: object, folder: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, with no settings but those that are given."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "PYTHONPATH": _ROOT}
    environment = os.environ | home | options.pop("env", {})
    if forged.may_run({**options, "env": environment}):
        return forged.run(*arguments, cwd=folder, env=environment, **options)
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=80, check=False, cwd=folder, env=environment, **options
    )


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON Lines, by their index."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(found, key=lambda row: int(row["index"]))


class Pages(Handler):
    """Serve what `pages` has, by path: status, body and headers; others are not there. Keep what was asked for."""

    pages: ClassVar[dict[str, Page]] = {}
    log: ClassVar[list[tuple[str, Mapping[str, str]]]] = []
    lock = threading.Lock()

    def do_GET(self) -> None:
        """Answer, and note it."""
        with self.lock:
            self.log.append((self.path, dict(self.headers.items())))
        status, body, headers = self.pages.get(self.path.partition("?")[0], (404, "", {}))
        self.answer(status, body.encode(), {"Content-Type": "text/html"} | headers)

    @classmethod
    def asked(cls) -> list[str]:
        """Return the paths that were asked for, without robots.txt."""
        return [path for path, _ in cls.log if path != "/robots.txt"]


@contextmanager
def pages(**_options: object) -> Iterator[tuple[type[Pages], str]]:
    """Give the books of a site, and its URL without a slash at the end."""
    kind = type("OneSitesPages", (Pages,), {"pages": {}, "log": [], "lock": threading.Lock()})
    with handled(kind) as url:
        yield kind, url.rstrip("/")
