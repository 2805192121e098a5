"""The outcome of one input of `fetch_many`."""

from typing import Any

from ..errors import WorkerPoolError
from .request import Request
from .response import Response

__all__ = ["Result"]


class Result:
    """Hold the outcome of one input of `fetch_many`: a response or an error, never both."""

    __slots__ = ("_error", "_index", "_request", "_response")

    def __init__(
        self,
        index: int,
        request: Request | str,
        response: Response | None,
        error: BaseException | None,
    ) -> None:
        self._index = index
        self._request = request
        self._response = response
        self._error = error

    @property
    def index(self) -> int:
        """The place of the input, from 0."""
        return self._index

    @property
    def request(self) -> Request | str:
        """The request; the input as it was given where no request could be made of it."""
        return self._request

    @property
    def meta(self) -> Any:
        """The user's own data, as it was given to the request; None where no request could be made."""
        return self._request.meta if isinstance(self._request, Request) else None

    @property
    def response(self) -> Response | None:
        """The answer, or None."""
        return self._response

    @property
    def error(self) -> BaseException | None:
        """The error, or None."""
        return self._error

    @property
    def ok(self) -> bool:
        """Whether there is a response, and its status is below 400: what `ok` of the response means."""
        return self._response is not None and self._response.ok

    def unwrap(self) -> Response:
        """Return the response or raise the error."""
        if self._error is not None:
            raise self._error
        if self._response is None:
            raise WorkerPoolError("this result holds neither a response nor an error")
        return self._response

    def __repr__(self) -> str:
        return f"<Result {self._index} {self._error if self._response is None else self._response!r}>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
