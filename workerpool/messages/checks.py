"""Whether the small settings of a request are what they must be; each raises TypeError or ValueError."""

from typing import Any

from ..settings import Retry

__all__ = ["checked_flag", "checked_priority", "checked_retry", "checked_size"]


def checked_size(max_body: object) -> int:
    """Return a number of bytes."""
    if isinstance(max_body, bool) or not isinstance(max_body, int) or max_body < 0:
        raise ValueError("max_body must be a number of bytes, 0 or more")
    return max_body


def checked_retry(retry: object) -> Any:
    """Return a Retry, None, or the ellipsis that stands for the lane's."""
    if retry is None or retry is ... or isinstance(retry, Retry):
        return retry
    raise TypeError(f"retry must be a Retry or None, not {type(retry).__name__}")


def checked_flag(allow_redirects: object) -> bool:
    """Return a bool."""
    if not isinstance(allow_redirects, bool):
        raise TypeError(f"allow_redirects must be True or False, not {type(allow_redirects).__name__}")
    return allow_redirects


def checked_priority(priority: object) -> int:
    """Return an int."""
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise TypeError(f"priority must be an int, not {type(priority).__name__}")
    return priority
