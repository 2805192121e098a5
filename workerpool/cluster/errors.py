"""The errors that only a pool on a cluster has; all else is raised as a WorkerPool raises it."""

from ..errors import WorkerLost, WorkerPoolError

__all__ = [
    "ClusterError",
    "NotOnCluster",
    "NotPicklable",
    "RemoteError",
    "SchedulerLost",
    "StoreError",
    "Unreachable",
    "VersionMismatch",
]


class ClusterError(WorkerPoolError):
    """The cluster cannot be worked with as it is; the message names the cure."""


class Unreachable(ClusterError):
    """Nobody answers at the address of the scheduler, or at that of one of its workers."""


class VersionMismatch(ClusterError):
    """A worker has another Python or another workerpool than the client, or none."""


class NotPicklable(ClusterError, TypeError):
    """What was given, or what a function returned, cannot travel between processes."""


class NotOnCluster(ClusterError, NotImplementedError):
    """What was asked for needs its sockets in the caller's own process."""


class RemoteError(ClusterError):
    """A function on a worker raised what may not be unpickled here: `kind` is its class, by its name."""

    kind = ""


class StoreError(ClusterError):
    """The pool's store cannot be reached, refuses, or does not hold what was put there."""


class SchedulerLost(WorkerLost):
    """The scheduler went away, and with it what was under way."""
