"""What threaded programs use today; each imported where it runs, so that no other counts as its memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .contestant import Run, Task, in_threads

__all__ = [
    "httpx_threads",
    "niquests_threads",
    "pycurl_threads",
    "pyreqwest_threads",
    "requests_threads",
    "urllib3_threads",
]


@contextmanager
def requests_threads(task: Task) -> Iterator[Run]:
    """Fetch with requests, a Session per thread."""
    import requests

    with _own_sessions(task, requests.Session) as run:
        yield run


@contextmanager
def niquests_threads(task: Task) -> Iterator[Run]:
    """Fetch with niquests, a Session per thread."""
    import niquests

    with _own_sessions(task, niquests.Session) as run:
        yield run


@contextmanager
def pyreqwest_threads(task: Task) -> Iterator[Run]:
    """Fetch with pyreqwest, one client for all threads."""
    from pyreqwest.client import SyncClientBuilder

    builder = SyncClientBuilder()
    if task.ca is not None:
        builder = builder.add_root_certificate_pem(Path(task.ca).read_bytes())
    with builder.build() as client:

        def get(url: str) -> tuple[int, bytes]:
            request = client.get(url)
            if task.headers is not None:
                request = request.headers(task.headers)
            response = request.build().send()
            return response.status, response.bytes().to_bytes()

        with in_threads(task, get) as run:
            yield run


@contextmanager
def urllib3_threads(task: Task) -> Iterator[Run]:
    """Fetch with urllib3, one PoolManager for all threads."""
    import urllib3

    with urllib3.PoolManager(maxsize=task.connections, ca_certs=task.ca) as manager:

        def get(url: str) -> tuple[int, bytes]:
            response = manager.request("GET", url, headers=task.headers)
            return response.status, response.data

        with in_threads(task, get) as run:
            yield run


@contextmanager
def httpx_threads(task: Task) -> Iterator[Run]:
    """Fetch with httpx, one Client for all threads."""
    import httpx

    limits = httpx.Limits(max_connections=task.connections, max_keepalive_connections=task.connections)
    with httpx.Client(limits=limits) as client:

        def get(url: str) -> tuple[int, bytes]:
            response = client.get(url, headers=task.headers)
            return response.status_code, response.content

        with in_threads(task, get) as run:
            yield run


@contextmanager
def pycurl_threads(task: Task) -> Iterator[Run]:
    """Fetch with pycurl, a handle per thread."""
    import pycurl

    own = threading.local()

    def get(url: str) -> tuple[int, bytes]:
        if not hasattr(own, "handle"):
            own.handle = pycurl.Curl()
            own.handle.setopt(pycurl.NOSIGNAL, 1)  # libcurl asks for it where there are threads
            if task.ca is not None:
                own.handle.setopt(pycurl.CAINFO, task.ca)
        handle: Any = own.handle
        handle.setopt(pycurl.URL, url)
        if task.headers is not None:
            handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in task.headers.items()])
        body: bytes = handle.perform_rb()
        return handle.getinfo(pycurl.RESPONSE_CODE), body

    with in_threads(task, get) as run:
        yield run


@contextmanager
def _own_sessions(task: Task, make: Callable[[], Any]) -> Iterator[Run]:
    own = threading.local()

    def get(url: str) -> tuple[int, bytes]:
        if not hasattr(own, "session"):
            own.session = make()
        response = own.session.get(url, headers=task.headers, verify=task.ca)
        return response.status_code, response.content

    with in_threads(task, get) as run:
        yield run
