"""One turn of a program, as a process of its own: how long it took, what CPU and memory, and what came of it."""

import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter

__all__ = ["Turn", "measured", "peak_of"]

_PEAK = re.compile(r"VmHWM:\s*(\d+) kB")
_LOOK = 0.02  # seconds between two looks at the memory
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Turn:
    """The figures of a process: seconds, seconds of CPU with its children's, MiB at the most."""

    seconds: float
    cpu: float
    memory: float
    code: int
    said: str  # the end of what it has written


def measured(command: list[str], patience: float) -> Turn:
    """Run a command to its end, or kill it when patience is over."""
    with TemporaryFile() as output:
        began = perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment())
        impatience = threading.Timer(patience, process.kill)
        impatience.start()
        looking = _Looking(process.pid)
        _, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
        impatience.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        memory = looking.end()
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    return Turn(seconds, used.ru_utime + used.ru_stime, memory, process.returncode, said[-500:])


class _Looking:
    """Keep the most memory that a process had, as the kernel counts it for the program alone.

    What the kernel keeps for the process (ru_maxrss) begins with the memory of whoever has started it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK):
            self._peak = peak_of(self._pid) or self._peak

    def end(self) -> float:
        """Return it, in MiB."""
        self._is_over.set()
        self._thread.join()
        return self._peak


def peak_of(pid: int) -> float:
    """Return the most memory that a process has had, in MiB; 0 where it is gone."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(found[1]) / _KIB if found else 0.0


def _environment() -> dict[str, str]:
    """Return the environment without proxies: some would send even loopback through them."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
