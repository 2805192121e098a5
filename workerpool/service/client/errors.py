"""What the client raises: one tree below WorkerPoolError. No token is in any of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import WorkerPoolError

__all__ = [
    "BadArgument",
    "BadSubmission",
    "ClientError",
    "Conflict",
    "NotAllowed",
    "NotDone",
    "NotFound",
    "RequestFailed",
    "ServiceUnavailable",
    "Unauthorized",
    "UnexpectedAnswer",
]


class ClientError(WorkerPoolError):
    """Root of what the client raises. `status` is the answer's, None where there was none.

    `errors` are the fields at fault, as the service tells them: mappings with `pointer`, `detail` and, of a submission
    by lines, `line`. `retry_after` is in seconds, where the service has named a time.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.errors: tuple[dict[str, Any], ...] = tuple(dict(each) for each in errors)
        self.retry_after = retry_after


class BadArgument(ClientError, ValueError):
    """What was given cannot be: the message names the argument. The service has refused it, or it was not sent."""


class BadSubmission(BadArgument):
    """A job was refused, and nothing of it is stored; `errors` point to the fields at fault."""


class Unauthorized(ClientError):
    """The service wants a token, or does not know the one that was given."""


class NotAllowed(ClientError):
    """The token's role does not allow it, or address rules forbid a URL, or the service goes by another name."""


class NotFound(ClientError, LookupError):
    """There is no such job, result, body or delivery."""


class Conflict(ClientError):
    """The state forbids it: a job that runs, one that is done already, an id that exists."""


class ServiceUnavailable(ClientError):
    """The service cannot be reached, or takes nothing now, and did not come back within the timeout."""


class NotDone(ClientError, TimeoutError):
    """What was waited for was not done within the time given; the job goes on."""


class UnexpectedAnswer(ClientError):
    """The answer is none of the job service's: another program is at that URL, or the service has a fault."""


class RequestFailed(ClientError):
    """A request of a job has no answer; only `unwrap()` raises this. `type` and `stage` are those of its error."""

    def __init__(self, message: str, *, url: str = "", type: str = "", stage: str = "") -> None:
        super().__init__(message)
        self.url: str = url
        self.type: str = type
        self.stage: str = stage
