"""Which URL was asked for, where requests follows a redirect: to an adapter it looks like any other request."""

from typing import Any
from weakref import ref

import requests

__all__ = ["asked_first"]


class _Hooks(dict[str, Any]):
    """A request's hooks, which requests hands on to the copy that follows a redirect; they know where it began."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        super().__init__(request.hooks)
        self.request = ref(request)
        self.url = str(request.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def asked_first(request: requests.PreparedRequest) -> str:
    """Return the URL that was asked for: the request's own, unless it is a copy of one that was sent before."""
    hooks = request.hooks
    if isinstance(hooks, _Hooks) and hooks.request() is not request:
        return hooks.url
    request.hooks = hooks = _Hooks(request)
    return hooks.url
