"""stdin as a text file whose reader no Ctrl-C is lost on."""

import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import click

__all__ = ["open_stdin"]


@contextmanager
def open_stdin(**options: Any) -> Iterator[IO[str]]:
    """Give stdin, read with the options of TextIOWrapper; it stays open."""
    number = _number()
    if number is None:
        with click.open_file("-", **options) as file:
            yield file
        return
    with _bell() as bell:
        yield io.TextIOWrapper(io.BufferedReader(_Waiting(number, bell)), **options)


class _Waiting(io.RawIOBase):
    """Read a descriptor when something is there, or the bell rings.

    Python looks for signals before a read() and after it. One that comes just then, or on another thread, is not found
    while that waits; a wait for both has an end.
    """

    def __init__(self, number: int, bell: int) -> None:
        self._number = number
        self._bell = bell

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait, and read what is there; 0 at the end."""
        while True:
            ready, _, _ = select.select([self._number, self._bell], [], [])
            if self._bell not in ready:
                return os.readv(self._number, [buffer])
            os.read(self._bell, 2**10)  # the signal's handler runs before the next turn


@contextmanager
def _bell() -> Iterator[int]:
    """Give a descriptor that can be read once a signal has come."""
    bell, rope = os.pipe()
    os.set_blocking(rope, False)
    before = signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    try:
        yield bell
    finally:
        with suppress(ValueError):  # given up on another thread: what cannot be written to is no harm
            signal.set_wakeup_fd(before)
        os.close(rope)
        os.close(bell)


def _number() -> int | None:
    """Return the descriptor of stdin; None where it cannot be waited for."""
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        return None
    with suppress(AttributeError, OSError, ValueError):  # closed, or something that a test has put there
        return sys.stdin.fileno()
    return None
