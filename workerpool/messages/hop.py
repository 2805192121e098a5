"""One request as it goes on the wire, and how it goes on after redirects."""

from typing import NamedTuple

from multidict import CIMultiDict
from yarl import URL

from .body import Body
from .response import Response

__all__ = ["Hop", "Onward"]


class Hop(NamedTuple):
    """One request on the wire."""

    method: str
    url: URL
    headers: "CIMultiDict[str]"
    body: Body


class Onward(NamedTuple):
    """How a request goes on after redirects."""

    hop: Hop
    history: tuple[Response, ...]
