"""What may be submitted: a URL, a Request, or an async function."""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["checked_function", "url_of"]


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
