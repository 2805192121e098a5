"""Count the open files that somebody closes under us: python -m faults.descriptors LOOP."""

import gc
import os
import sys
from contextlib import suppress

from workerpool import ConnectError, WorkerPool

from . import FAULTS, FaultServer
from .certificates import client_context

__all__: list[str] = []

_ROUNDS = 80
_FILES = 20  # opened after each failure, so that one of them is likely to get the freed number


def _lost(pool: WorkerPool) -> int:
    """Let a connection be reset while it is made, then look at files of one's own."""
    with FaultServer(FAULTS["tls-reset-in-handshake"]) as server, suppress(ConnectError):
        pool.get(server.url)
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(_FILES)]
    gc.collect()
    return sum(not _is_closed(file) for file in files)


def _is_closed(file: int) -> bool:
    """Close the file; False if it was closed already."""
    try:
        os.close(file)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    with WorkerPool(workers=1, ssl=client_context(), event_loop=sys.argv[1], retry=None) as pool:
        print(sum(_lost(pool) for _ in range(_ROUNDS)))
