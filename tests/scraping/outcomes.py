"""Outcomes as the tests of sinks want them: made by hand, with the same dates each time."""

from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from workerpool import DNSError, Request, Response
from workerpool.scraping import Attempt, Item, Outcome

__all__ = ["answer", "failed", "fetched", "mixed", "skipped"]

STARTED = 1_790_000_000.125


def answer(
    url: str = "http://example.com/",
    content: bytes = b"hello",
    status: int = 200,
    headers: Any = (("Content-Type", "text/plain"),),
    *,
    request: Request | None = None,
    reason: str = "OK",
    history: tuple[Response, ...] = (),
) -> Response:
    """Return a response, its headers as they are given."""
    proxy = CIMultiDictProxy(CIMultiDict(headers))
    return Response(request or Request(url), url, status, reason, proxy, content, elapsed=0.25, history=history)


def fetched(index: int = 0, response: Response | None = None, name: str | None = None, **more: Any) -> Outcome:
    """Return an outcome with an answer."""
    if response is None:
        response = answer(f"http://example.com/page/{index}", b"page %d " % index * 20)
    attempts = (Attempt(started=STARTED + index, took=0.2, status=response.status_code),)
    item = Item(url=response.request.url, name=name, line=index + 1)
    return Outcome(index=index, item=item, verdict="fetched", response=response, attempts=attempts, **more)


def failed(index: int = 0) -> Outcome:
    """Return an outcome with an error."""
    error = DNSError("GET http://gone.example/: no such name", url="http://gone.example/", attempts=2, stage="dns")
    item = Item(url="http://gone.example/", line=index + 1)
    tries = (Attempt(started=STARTED + index, error="DNSError", stage="dns"),) * 3
    return Outcome(index=index, item=item, verdict="failed", error=error, reason="dns", attempts=tries)


def skipped(index: int = 0) -> Outcome:
    """Return an outcome that was never asked for."""
    return Outcome(index=index, item=Item(url="http://no.example/", line=index + 1), verdict="skipped", reason="robots")


def mixed(count: int) -> list[Outcome]:
    """Return outcomes of all kinds, some with bodies alike, redirects, names and fields."""
    found = []
    for index in range(count):
        if index % 11 == 3:
            found.append(failed(index))
        elif index % 13 == 5:
            found.append(skipped(index))
        elif index % 7 == 2:
            found.append(fetched(index, answer(f"http://example.com/copy/{index}", b"the same for all " * 9)))
        elif index % 7 == 4:
            hop = answer("http://example.com/old", b"", 302, (("Location", "/new"), ("Content-Length", "0")))
            page = b"<html><title>Page &amp; %d</title>" % index
            kind = (("Content-Type", "text/html; charset=utf-8"), ("Content-Encoding", "gzip"))
            found.append(fetched(index, answer("http://example.com/new", page, headers=kind, history=(hop,))))
        elif index % 7 == 6:
            fields = {"title": f"=SUM({index})", "tags": ["a", "\u202e"], "price": index / 3}
            found.append(fetched(index, name=f"d/Name{index % 3}.TXT", fields=fields, preferences={"tdm": "1"}))
        else:
            found.append(fetched(index))
    return found
