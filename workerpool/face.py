"""Every public name, in one place: what the package loads when the first of them is asked for."""

import logging

from .caller.pool import WorkerPool
from .caller.registry import configure, delete, get, get_pool, head, options, patch, post, put, request
from .caller.session import LaneView, PoolSession
from .caller.sse import ServerSentEvent
from .caller.streaming import StreamedResponse
from .caller.websocket import WebSocket
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
from .handover.job import Job
from .lane import Lane
from .messages.request import Request
from .messages.response import Response
from .messages.result import Result
from .settings import Rate, Retry, Timeout
from .stats import PoolStats

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
