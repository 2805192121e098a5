"""The command `workerpool`. Beside the library, so that help and completion need not wait for aiohttp to load."""

import gc
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exits 2 with the cure where the extra is missing."""
    _fill_standard_files()
    try:
        from .command import command  # here and not above: an optional extra

        command(prog_name="workerpool")
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in ("click", "rich"):
            raise
        sys.stderr.write(f"workerpool: {exc.name} is missing; install it: pip install 'aiohttp-workerpool[cli]'\n")
        sys.exit(2)
    finally:
        gc.freeze()  # a search of all modules for garbage, on the way out, takes a tenth to a third of a second


def _fill_standard_files() -> None:
    """Open what was closed of stdin, stdout and stderr: a socket in such a place makes libuv abort the process."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(number)
