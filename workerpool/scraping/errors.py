"""What goes wrong in a run beside requests: its state, its input, its outputs."""

from ..errors import WorkerPoolError

__all__ = ["InputError", "OtherRun", "SinkError", "StateError"]


class StateError(WorkerPoolError, ValueError):
    """Raised where a state file cannot be used for this run: it is locked, damaged, or belongs to another one."""


class OtherRun(StateError):
    """Raised where a state belongs to another run: its inputs, outputs or options are not these."""


class SinkError(WorkerPoolError, ValueError):
    """Raised where an output is not what the state says of it, or cannot hold what it is to hold."""


class InputError(WorkerPoolError, ValueError):
    """Raised where an input as a whole cannot be read; single bad lines are reported and passed over."""
