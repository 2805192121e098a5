"""What HTTPAdapter's own `send` takes for a connection pool of urllib3, when somebody's mock lets a request through."""

from collections.abc import Callable
from typing import Any

import requests
from urllib3.util import Retry, Timeout

from ...errors import WorkerPoolError
from ...messages.response import Response
from .errors import as_urllib3
from .raw import raw_of
from .retries import asks_for_nothing, repeated

__all__ = ["Connection"]


class Connection:
    """Send one prepared request by the pool. Has as much of urllib3's pool as HTTPAdapter.send uses."""

    def __init__(self, request: requests.PreparedRequest, ask: Callable[[Timeout], Response]) -> None:
        self._request = request
        self._ask = ask

    def urlopen(self, *, timeout: Timeout, retries: Retry, **_given: Any) -> Any:
        """Return the answer, its body on the way; raises urllib3's errors. The rest is in the request."""
        try:
            if asks_for_nothing(retries):
                return raw_of(self._ask(timeout))
            return raw_of(*repeated(retries, self._request, lambda: self._ask(timeout)))
        except WorkerPoolError as exc:
            raise as_urllib3(exc, self._request.url or "") from exc
