"""Bodies as objects below a URL, by fsspec."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ...filesystems import opened
from ..errors import SinkError
from ..outcome import Outcome
from .base import Position
from .names import has_body, remote_name

__all__ = ["RemoteFolder"]

T = TypeVar("T")
_USERINFO = re.compile(r"//[^/@]*@")


class RemoteFolder:
    """Save the body of each answer below a URL such as `s3://bucket/path`; `storage` are fsspec's options for it.

    The number of the outcome is in every name, so names are unique without a look at the store, and what comes again
    after a crash overwrites itself. That an object appears whole or not at all is up to the store: those of objects
    do so, servers of files may not. Answers of status 400 or more are saved with `errors=True`.
    """

    def __init__(self, url: str, *, errors: bool = False, storage: Mapping[str, Any] | None = None) -> None:
        self.url: str = url.rstrip("/")
        self.place: str = _USERINFO.sub("//", self.url)  # as errors tell it
        self._errors = errors
        self._storage = dict(storage or {})
        self._system: Any = None
        self._root = ""
        self._folders: set[str] = set()

    def open(self, position: Position | None) -> None:
        """Find the store; there is nothing to cut back."""
        self._system, self._root = self._asked(lambda: opened(self.url, self._storage))
        self._folders.clear()

    def write(self, outcome: Outcome) -> None:
        """Save the body, if there is one to save."""
        response = outcome.response
        if response is None or not has_body(outcome, errors=self._errors):
            return
        content = response.content
        path = f"{self._root}/{remote_name(outcome)}"
        self._make_folder(path.rpartition("/")[0])
        self._asked(lambda: self._system.pipe_file(path, content))

    def flush(self) -> Position:
        """Do nothing: what was written is there."""
        return {}

    def close(self) -> None:
        """Do nothing: what was written is there."""

    def abandon(self) -> None:
        """Do nothing: what was written is there, and is overwritten when it comes again."""

    def _make_folder(self, folder: str) -> None:
        if folder not in self._folders:
            self._asked(lambda: self._system.makedirs(folder, exist_ok=True))
            self._folders.add(folder)

    def _asked(self, ask: Callable[[], T]) -> T:
        """Ask the store. Its own errors become a SinkError, and those of the system name the URL."""
        try:
            return ask()
        except OSError as exc:
            exc.filename = exc.filename or self.place
            raise
        except ImportError as exc:  # fsspec says which package it misses
            raise ImportError(f"{self.place}: {exc}", name=exc.name) from exc
        except Exception as exc:
            raise SinkError(f"{self.place}: the store refuses: {type(exc).__name__}: {exc}") from exc
