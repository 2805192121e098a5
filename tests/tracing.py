"""What an action does, line by line."""

import sys
from collections.abc import Callable

__all__ = ["traced"]


def traced(action: Callable[[], object], is_of_interest: Callable[[str], bool], on_line: Callable[[], object]) -> None:
    """Do the action on this thread, and call back at each of its lines in files of interest."""

    def trace(frame, event, _arg):  # type: ignore[no-untyped-def]
        if event == "line" and is_of_interest(frame.f_code.co_filename):
            on_line()
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
