"""Errors that nobody has raised: set from another thread, or the interpreter's, that memory has run out."""

import sys
from asyncio import CancelledError
from traceback import walk_tb

__all__ = ["LIBRARIES", "Struck", "has_struck"]

LIBRARIES = frozenset(
    {
        "aiohappyeyeballs",
        "aiohttp",
        "aiohttp_socks",
        "asyncio",
        "encodings",
        "multidict",
        "python_socks",
        "ssl",
        "uvloop",
        "workerpool",
        "yarl",
    }
)
_BELOW = (LIBRARIES | sys.stdlib_module_names) - {"builtins"}
# Raised without a word, too.
_USUAL = (
    OSError,
    AssertionError,
    NotImplementedError,
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    CancelledError,
)


class Struck(Exception):
    """An attempt has failed by an error that leaves nothing sure: the loop is to be given up."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def has_struck(error: BaseException | None, *, in_callback: bool = False) -> bool:
    """Whether an error has struck amid the libraries' code, which may have left accounts half made there.

    PyThreadState_SetAsyncExc() makes it of a class alone, and the libraries raise nothing foreign without a word. Of a
    callback of a loop's it is so only if code of the user's takes no part in it.
    """
    if error is None or error.args or isinstance(error, _USUAL) or error.__traceback__ is None:
        return False
    modules = [frame.f_globals.get("__name__", "") for frame, _line in walk_tb(error.__traceback__)]
    below = [_is_below(module) for module in modules]
    return (all(below) if in_callback else below[-1]) and not _is_below(type(error).__module__)


def _is_below(module: str) -> bool:
    return module.partition(".")[0] in _BELOW and not module.startswith("workerpool.testing")
