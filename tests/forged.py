"""Commands of `workerpool` in processes that are copied from one which has loaded all of it.

A command takes most of a second to load, some hundred times in a run of the tests. Here each is a process of its own, with its
own arguments, environment, folder and files, that ends as any other, but begins where the modules are there. What is about
the start itself, pipes, terminals or the interpreter is tested with `python -m workerpool`.
"""

import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["Forged", "may_run", "run"]

_MODULES = [
    "workerpool.caller.switchboard", "workerpool.cli.fetch_polite", "workerpool.cli.crawl", "workerpool.cli.submit",
    "workerpool.service.serving", "workerpool.service.working", "workerpool.cli.serve", "workerpool.cli.work",
]  # fmt: skip
_ROOT = Path(__file__).parents[1]
_AT_START = ("PYTHON", "LC_", "LANG")  # what the interpreter looks at when it starts


class Forged:
    """A command that runs; as far as it goes, a `subprocess.Popen`. Files are given by their paths."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        stdin: str | Path = os.devnull,
        stdout: str | Path | None = None,
        stderr: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
    ) -> None:
        self.arguments = list(arguments)
        self.pid, self._ended = _forge().copy({
            "arguments": self.arguments,
            "files": [None if each is None else str(each) for each in (stdin, stdout, stderr)],
            "environment": dict(os.environ if env is None else env),
            "folder": str(cwd or os.getcwd()),
        })  # fmt: skip

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of a signal; None while it runs."""
        return self._ended.result() if self._ended.done() else None

    def poll(self) -> int | None:
        """Return the same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, so many seconds at the most, and return the exit code."""
        try:
            return self._ended.result(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.arguments, timeout or 0.0) from None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def may_run(options: Mapping[str, Any]) -> bool:
    """Whether a copy will do for what `subprocess.run` was to be given: nothing is for the interpreter's own start."""
    own = {name: value for name, value in (options.get("env") or {}).items() if value != os.getenv(name)}
    if own.get("PYTHONPATH") == str(_ROOT):
        del own["PYTHONPATH"]
    return options.keys() <= {"env", "cwd", "input"} and not any(each.startswith(_AT_START) for each in own)


def run(
    *arguments: object, input: str | None = None, env: Mapping[str, str] | None = None, cwd: str | Path | None = None,
    timeout: float = 80.0,
) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """Run a command to its end, as `subprocess.run` does with `capture_output` and `text`."""
    words = [str(each) for each in arguments]
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place, name) for name in ("stdin", "stdout", "stderr")]
        for path in paths:
            path.write_text(input or "" if path.name == "stdin" else "")
        process = Forged(words, stdin=paths[0], stdout=paths[1], stderr=paths[2], env=env, cwd=cwd)
        try:
            code = process.wait(timeout)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(words, code, paths[1].read_text(), paths[2].read_text())


class _Forge:
    """The process that is copied, as those see it who ask for copies."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        theirs.close()
        self._lines = ours.makefile("rw")
        self._lock = threading.Lock()  # guards what follows; copies are asked for one by one
        self._asked: list[Future[int]] = []
        self._running: dict[int, Future[int]] = {}
        threading.Thread(target=self._hear, name="forge", daemon=True).start()

    def copy(self, request: dict[str, Any]) -> "tuple[int, Future[int]]":
        """Have a copy be a command; return its number, and what tells of its end."""
        begun: Future[int] = Future()
        with self._lock:
            self._asked.append(begun)
            self._lines.write(json.dumps(request) + "\n")
            self._lines.flush()
        pid = begun.result(60)
        with self._lock:
            return pid, self._running[pid]

    def _hear(self) -> None:
        for line in self._lines:
            what, pid, code = json.loads(line)
            with self._lock:
                if what == "begun":
                    self._running[pid] = Future()
                    self._asked.pop(0).set_result(pid)
                else:
                    self._running[pid].set_result(code)


@cache
def _forge() -> _Forge:
    return _Forge()


def _copied(asked: socket.socket) -> dict[str, Any] | None:
    """Copy this process for each request: return the request in the copy, and None in the original, when all is over."""
    woken, wakes = socket.socketpair()
    for each in (woken, wakes):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    lines = asked.makefile("rw")
    chosen = selectors.DefaultSelector()
    chosen.register(asked, selectors.EVENT_READ)
    chosen.register(woken, selectors.EVENT_READ)
    while True:
        ready = {key.fileobj for key, _ in chosen.select()}
        if woken in ready:
            woken.recv(4096)
            _tell_of_ended(lines)
        if asked not in ready:
            continue
        if not (line := lines.readline()):
            return None
        if pid := os.fork():
            _tell(lines, "begun", pid, 0)
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        chosen.close()
        lines.close()
        for end in (asked, woken, wakes):
            end.close()
        request: dict[str, Any] = json.loads(line)
        return request


def _tell_of_ended(lines: Any) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            _tell(lines, "ended", found[0], os.waitstatus_to_exitcode(found[1]))


def _tell(lines: Any, what: str, pid: int, code: int) -> None:
    lines.write(json.dumps([what, pid, code]) + "\n")
    lines.flush()


def _become(request: dict[str, Any]) -> None:
    """Have the arguments, files, folder and environment that were asked for."""
    for number, path in enumerate(request["files"]):
        if path is not None:
            opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["workerpool", *request["arguments"]]


if __name__ == "__main__":
    for module in _MODULES:
        import_module(module)
    gc.freeze()  # pages that nobody writes to are shared
    wanted = _copied(socket.socket(fileno=int(sys.argv[1])))
    if wanted is not None:
        _become(wanted)
        from workerpool_cli import main

        main()
