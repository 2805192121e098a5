"""What may be submitted: a URL, a Request, or an async function; and how it is refused."""

import inspect
from collections.abc import Callable, Collection
from types import FunctionType
from typing import Any, TypeVar

from ..errors import InvalidRequest

__all__ = ["alone", "checked", "checked_function", "checked_stream", "url_of"]

T = TypeVar("T")


def checked(name: str, check: Callable[[Any], T], value: Any) -> T:
    """Return what the check makes of the value; raises InvalidRequest, which names the argument."""
    try:
        return check(value)
    except (TypeError, ValueError) as exc:
        raise InvalidRequest(str(exc) if str(exc).startswith(name) else f"{name}: {exc}") from None


def alone(what: str, args: Collection[Any], options: Collection[str]) -> None:
    """Raise TypeError for arguments beside a Request."""
    if args or options:
        raise TypeError(f"{what}(Request) takes no further arguments; give them to the Request")


def checked_stream(stream: object) -> bool:
    if isinstance(stream, bool):
        return stream
    raise TypeError(f"stream is True or False, not {type(stream).__name__}")


def checked_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(fn, FunctionType) and fn.__code__.co_flags & inspect.CO_COROUTINE:
        return fn  # the usual case, at a quarter of the cost of asking inspect
    if inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None)):  # noqa: B004
        return fn
    name = getattr(fn, "__qualname__", f"a {type(fn).__name__}")
    raise TypeError(
        f"{name} is not an async function; the pool runs `async def fn(session, ...)`, a URL or a Request;"
        " for a plain function use concurrent.futures.ThreadPoolExecutor"
    )


def url_of(target: object, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(target, str):
        raise TypeError(f"submit() takes a URL, a Request or an async function, not {type(target).__name__}")
    if args:
        raise TypeError("submit(url) takes keyword arguments only")
    return (target,)
