"""The contestants by name; a module is loaded when asked for, so that each process holds only its own."""

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from .contestant import Contestant

__all__ = ["CONTESTANTS", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a contestant is, the share of the requests it gets (a slow one less), and the rival it needs."""

    module: str
    function: str
    share: float = 1.0
    needs: str = "aiohttp"

    @property
    def is_installed(self) -> bool:
        """Tell whether what it needs can be found; one that is found and broken fails the run."""
        return find_spec(self.needs) is not None

    def load(self) -> Contestant:
        """Return the contestant."""
        contestant: Contestant = getattr(import_module(f"{__name__}.{self.module}"), self.function)
        return contestant


CONTESTANTS = {
    "aiohttp": Entry("bare_aiohttp", "on_one_loop"),
    "aiohttp-isal": Entry("bare_aiohttp", "with_isal", needs="isal"),
    "pool-bulk": Entry("pool", "bulk"),
    "pool-bulk-1": Entry("pool", "bulk_of_one"),
    "pool-bulk-2": Entry("pool", "bulk_of_two"),
    "pool-futures": Entry("pool", "futures"),
    "pool-blocking": Entry("pool", "blocking", 0.7),
    "run_coroutine_threadsafe": Entry("bare_aiohttp", "by_hand", 0.7),
    "requests-threads": Entry("rivals", "requests_threads", 0.1, "requests"),
    "urllib3-threads": Entry("rivals", "urllib3_threads", 0.3, "urllib3"),
    "httpx-threads": Entry("rivals", "httpx_threads", 0.1, "httpx"),
    "pycurl-threads": Entry("rivals", "pycurl_threads", 1.0, "pycurl"),
    "pyreqwest-threads": Entry("rivals", "pyreqwest_threads", 0.7, "pyreqwest"),
    "niquests-threads": Entry("rivals", "niquests_threads", 0.1, "niquests"),
    "aiohttp-download": Entry("bodies", "aiohttp_download"),
    "pool-download": Entry("bodies", "pool_download"),
    "aiohttp-upload": Entry("bodies", "aiohttp_upload"),
    "pool-upload": Entry("bodies", "pool_upload"),
    "requests-session": Entry("dropin", "requests_as_it_is", 0.1, "requests"),
    "requests-pool": Entry("dropin", "requests_over_the_pool", 0.1, "requests"),
    "noop-executor": Entry("jobs", "noop_executor"),
    "noop-pool": Entry("jobs", "noop_pool"),
    "noop-by-hand": Entry("jobs", "noop_by_hand"),
    "noop-loop": Entry("jobs", "noop_loop"),
}
