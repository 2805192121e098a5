"""A disk that is soon full, where one may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["fill", "small_disk"]


@contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """Mount a tmpfs of so many KiB for the block; the test is skipped where that cannot be done, but in CI."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    try:
        done = subprocess.run(["mount", *options], capture_output=True, check=False)
    except FileNotFoundError:
        _leave_out("there is no mount here")
    if done.returncode:
        _leave_out(f"nothing can be mounted here: {done.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _leave_out(why: str) -> NoReturn:
    """Skip the test; in CI, where one may mount, it fails."""
    if os.getenv("CI"):
        pytest.fail(why)
    pytest.skip(why)


def fill(disk: Path, *, leave: int) -> None:
    """Leave so many bytes of the disk free."""
    room = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - leave)))
