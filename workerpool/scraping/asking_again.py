"""Asking once more for what failed in a run, with outputs of their own."""

import os
from collections.abc import Collection, Mapping

from .errors import OtherRun
from .families import FAMILIES
from .rounds import check_outputs
from .state import State

__all__ = ["AGAIN", "ask_again"]

AGAIN = ("failed", *FAMILIES, "robots-unreachable")


def ask_again(path: str | os.PathLike[str], what: Collection[str], identity: Mapping[str, str]) -> int | None:
    """Have a complete run wait again for what failed so; return how many that are, None where it is under way already.

    `what` are families of errors, or "failed": any error, and any status of 400 or more. The outputs of before keep
    their rows; so those of the `identity` must be others. Raises OtherRun.
    """
    if not os.path.exists(path):
        raise OtherRun(f"{path}: there is no state, so nothing has failed; run it without --retry first")
    state = State(path, identity=None)
    try:
        if state.identity == identity and not state.complete:
            return None
        _check(state, path, identity)
        reasons = set(what) - {"failed"}
        if "failed" in what:
            reasons |= {"4xx", "5xx"}
        return state.ask_again(sorted(reasons), errors="failed" in what, identity=identity)
    finally:
        state.close()


def _check(state: State, path: str | os.PathLike[str], identity: Mapping[str, str]) -> None:
    if not state.complete:
        raise OtherRun(f"{path} is of a run that has not come to its end; finish that before --retry")
    check_outputs([*state.earlier_outputs, state.identity.get("outputs", "")], identity, "--retry")
