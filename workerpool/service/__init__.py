"""The job service: durable fetch jobs over HTTP, one command, no broker. `workerpool serve` runs it, `Client` calls it.

    with Client("http://127.0.0.1:8765", token) as client:
        job = client.submit(["https://example.org/a", "https://example.org/b"], labels={"team": "tea"})
        for result in client.results(job, follow=True):
            print(result.n, result.status, result.error)

The client needs none of the server's libraries.
"""

from .client.client import Client
from .client.errors import (
    BadArgument,
    BadSubmission,
    ClientError,
    Conflict,
    NotAllowed,
    NotDone,
    NotFound,
    RequestFailed,
    ServiceUnavailable,
    Unauthorized,
    UnexpectedAnswer,
)
from .client.values import (
    Attempt,
    Body,
    Counts,
    Delivery,
    Event,
    Explanation,
    Failure,
    Job,
    LaneState,
    Result,
    ServiceStats,
)

__all__ = [
    "Attempt",
    "BadArgument",
    "BadSubmission",
    "Body",
    "Client",
    "ClientError",
    "Conflict",
    "Counts",
    "Delivery",
    "Event",
    "Explanation",
    "Failure",
    "Job",
    "LaneState",
    "NotAllowed",
    "NotDone",
    "NotFound",
    "RequestFailed",
    "Result",
    "ServiceStats",
    "ServiceUnavailable",
    "Unauthorized",
    "UnexpectedAnswer",
]
