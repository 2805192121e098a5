"""How errors are pickled in a process that has distributed in it."""

import copyreg

from ..errors import WorkerPoolError

__all__ = ["keep_own_pickles"]


def keep_own_pickles() -> None:
    """Have our errors pickled as they say themselves, without what has caused them.

    distributed has the exceptions that there are pickled with their causes (`tblib.pickling_support`), and those of a
    connection hold sockets and TLS contexts, which no pickle takes.
    """
    left: list[type] = [WorkerPoolError]
    while left:
        kind = left.pop()
        copyreg.dispatch_table.pop(kind, None)
        left += kind.__subclasses__()
