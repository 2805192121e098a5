"""What threaded programs use today. A rival that is not installed raises ImportError and is left out."""

import threading
from typing import Any

from .task import Task, in_threads

__all__ = ["httpx_threads", "pycurl_threads", "requests_threads", "urllib3_threads"]


def requests_threads(task: Task) -> None:
    """requests with a Session per thread."""
    import requests

    own = threading.local()

    def get(url: str) -> tuple[int, bytes]:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        response = own.session.get(url)
        return response.status_code, response.content

    in_threads(task, get)


def urllib3_threads(task: Task) -> None:
    """urllib3 with one PoolManager for all threads."""
    import urllib3

    manager = urllib3.PoolManager(maxsize=task.connections)

    def get(url: str) -> tuple[int, bytes]:
        response = manager.request("GET", url)
        return response.status, response.data

    in_threads(task, get)


def httpx_threads(task: Task) -> None:
    """httpx with one Client for all threads."""
    import httpx

    limits = httpx.Limits(max_connections=task.connections, max_keepalive_connections=task.connections)
    with httpx.Client(limits=limits) as client:

        def get(url: str) -> tuple[int, bytes]:
            response = client.get(url)
            return response.status_code, response.content

        in_threads(task, get)


def pycurl_threads(task: Task) -> None:
    """pycurl with a handle per thread."""
    import pycurl

    own = threading.local()

    def get(url: str) -> tuple[int, bytes]:
        if not hasattr(own, "handle"):
            own.handle = pycurl.Curl()
        handle: Any = own.handle
        handle.setopt(pycurl.URL, url)
        body: bytes = handle.perform_rb()
        return handle.getinfo(pycurl.RESPONSE_CODE), body

    in_threads(task, get)
