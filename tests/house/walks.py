"""Follow a request through the house: which files a get, a stream and an error enter, on both threads."""

import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

__all__ = ["walks"]

_QUIET = 0.1  # seconds in which the worker enters nothing: it has finished what the caller does not wait for


def walks(package: Path) -> dict[str, list[str]]:
    """Return the files by way, in the order of their first entry; against the site of the package's own."""
    sys.path.insert(0, str(package.parent))
    from workerpool import ConnectError, WorkerPool
    from workerpool.testing import Site

    walk = _Walk(package)
    with Site() as gone:
        nobody = gone.url_for("/fast/1")
    with Site() as site:
        page, long = site.url_for("/fast/1"), site.url_for("/large/64")
        threading.setprofile(walk.note)  # after the site's thread has begun, before the pool's do
        with WorkerPool(workers=1, retry=None) as pool:

            def refused() -> None:
                try:
                    pool.get(nobody)
                except ConnectError:
                    return

            def streamed() -> None:
                with pool.stream("GET", long) as stream:
                    stream.read()

            found = {"get": walk.of(lambda: pool.get(page)), "stream": walk.of(streamed), "error": walk.of(refused)}
        threading.setprofile(None)
    return found


class _Walk:
    """Notes which files of the package are entered, while it is told to."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._entered: dict[str, None] | None = None
        self._calls = 0

    def note(self, frame: FrameType, event: str, _arg: object) -> None:
        self._calls += 1
        entered, code = self._entered, frame.f_code
        if entered is not None and event == "call" and code.co_name != "<module>":
            entered[code.co_filename] = None

    def of(self, way: Callable[[], object]) -> list[str]:
        """Return the files that the way enters when it is gone for the second time: nothing is made anew then."""
        way()
        self._wait_until_quiet()
        gc.collect()
        gc.disable()  # a collection would enter the files of what it frees
        files: dict[str, None] = {}
        self._entered = files
        sys.setprofile(self.note)
        way()
        sys.setprofile(None)
        self._wait_until_quiet()
        self._entered = None
        gc.enable()
        inside = [Path(file).relative_to(self._package) for file in files if file.startswith(f"{self._package}/")]
        return [".".join(path.with_suffix("").parts) for path in inside]

    def _wait_until_quiet(self) -> None:
        seen = -1
        while seen != self._calls:
            seen = self._calls
            time.sleep(_QUIET)
