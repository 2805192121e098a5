"""Every public name, in one place: what the package loads when the first of them is asked for."""

import logging

from .errors import (
    BodyTooLarge,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DeadlineExceeded,
    DecodingError,
    DNSError,
    ForkedPool,
    HTTPStatusError,
    InvalidRequest,
    JSONDecodeError,
    PoolClosed,
    ProtocolError,
    ProxyError,
    QueueFull,
    ReadTimeout,
    RequestError,
    TLSError,
    TooManyRedirects,
    TruncatedBody,
    WorkerLost,
    WorkerPoolError,
    WrongThread,
)
from .events import ServerSentEvent
from .job import Job
from .lane import Lane
from .messages.request import Request
from .messages.response import Response
from .messages.result import Result
from .pool import WorkerPool
from .registry import configure, delete, get, get_pool, head, options, patch, post, put, request
from .settings import Rate, Retry, Timeout
from .stats import PoolStats
from .streaming import StreamedResponse
from .views import LaneView, PoolSession
from .websocket import WebSocket

__all__ = [
    "BodyTooLarge",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DNSError",
    "DeadlineExceeded",
    "DecodingError",
    "ForkedPool",
    "HTTPStatusError",
    "InvalidRequest",
    "JSONDecodeError",
    "Job",
    "Lane",
    "LaneView",
    "PoolClosed",
    "PoolSession",
    "PoolStats",
    "ProtocolError",
    "ProxyError",
    "QueueFull",
    "Rate",
    "ReadTimeout",
    "Request",
    "RequestError",
    "Response",
    "Result",
    "Retry",
    "ServerSentEvent",
    "StreamedResponse",
    "TLSError",
    "Timeout",
    "TooManyRedirects",
    "TruncatedBody",
    "WebSocket",
    "WorkerLost",
    "WorkerPool",
    "WorkerPoolError",
    "WrongThread",
    "configure",
    "delete",
    "get",
    "get_pool",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]

# A library is silent unless its user sets logging up.
logging.getLogger("workerpool").addHandler(logging.NullHandler())
