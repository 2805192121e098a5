"""A process that only fetches, `workerpool work`: started, stopped, killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from forged import Forged

__all__ = ["Worked", "worked"]

_PATIENCE = 60.0  # seconds; only what hangs takes longer


class Worked:
    """One such process on a database, after another one."""

    def __init__(self, database: str, folder: Path, name: str, *options: str) -> None:
        self._database, self._options = database, options
        self._log = folder / f"{name}.log"
        self._before = 0  # how long the log was when the process was started
        self.process: Forged | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text() if self._log.exists() else ""

    def start(self) -> "Worked":
        """Start a process, and wait for nothing."""
        command = ["work", "--database", self._database]
        command += ["--allow-address", "127.0.0.0/8", *self._options]
        self._before = len(self.log)
        self.process = Forged(command, stderr=self._log, env={**os.environ, "WORKERPOOL_TOKENS": ""})
        return self

    def wait(self) -> "Worked":
        """Wait until it fetches; one that has ended, since its database was away then, is started again."""
        end = monotonic() + _PATIENCE
        while "working for" not in self.log[self._before :]:
            assert monotonic() < end, self.log
            if self.process is not None and self.process.poll() is not None:
                self.start()
            sleep(0.01)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(_PATIENCE)
        self.process = None
        return code


@contextmanager
def worked(database: str, folder: Path, *options: str, number: int = 1) -> Iterator[list[Worked]]:
    """Have so many of them fetch for a block."""
    found = [Worked(database, folder, f"work-{n}", *options) for n in range(number)]
    try:
        for each in found:
            each.start()
        yield [each.wait() for each in found]
    finally:
        for each in found:
            each.stop(signal.SIGKILL)
