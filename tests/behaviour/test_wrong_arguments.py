"""Each argument of each public call with fifty kinds of wrong values: taken, or refused by name, at once, as ours."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

import pytest
from aiohttp import web
from wrong_values import Call, fault_of, wrong_values

import workerpool
from workerpool import Lane, Rate, Request, Retry, Timeout, WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.requests import PoolAdapter
from workerpool.messages.request import RequestOptions
from workerpool.testing import Site

OF_A_REQUEST = [name for name in RequestOptions.__annotations__ if name != "meta"]  # which takes anything
VERBS = ["get", "options", "head", "post", "put", "patch", "delete", "request", "stream", "submit"]


async def nothing(_session: Any, *_args: Any) -> None:
    return None


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Site() as site:
        yield site.url_for("/echo")


@pytest.fixture(scope="module")
def shared() -> Iterator[WorkerPool]:
    with WorkerPool(name="wronged", timeout=Timeout(20), retry=None, lanes=[Lane("other")]) as pool:
        yield pool


def with_one(make: Callable[..., object], argument: str, **others: Any) -> Callable[[Any], object]:
    """Return the call with all but one of its arguments filled in."""
    return lambda value: make(**(others | {argument: value}))


def tried(calls: Iterable[Call]) -> int:
    """Give each call each of the values; return how many that were."""
    faults, number = [], 0
    for call in calls:
        values = wrong_values()
        number += len(values)
        faults += [fault for name, value in values.items() if (fault := fault_of(call, name, value))]
    assert not faults, "\n".join(faults)
    return number


def opened(context: AbstractContextManager[Any], use: Callable[[Any], object] = lambda _it: None) -> object:
    with context as it:
        return use(it)


def test_requests():
    """A Request is checked when it is made."""
    url = "http://host/"
    assert 0 < tried([
        *(Call("Request", name, with_one(Request, name, method="POST", url=url)) for name in OF_A_REQUEST),
        Call("Request", "url", lambda value: Request("GET", value), ("URL",), True),
        Call("Request", "url", lambda value: Request(value), ("URL",), True),
        Call("Request", "method", lambda value: Request(value, url)),
        Call("with_header", "name", lambda value: Request(url).with_header(value, "a"), ("headers",)),
        Call("with_header", "value", lambda value: Request(url).with_header("a", value), ("headers",)),
    ])  # fmt: skip


@pytest.mark.parametrize(("kind", "needed"), [(Lane, {"name": "a"}), (Timeout, {}), (Rate, {"limit": 1}), (Retry, {})])
def test_settings(kind, needed):
    """So are lanes, timeouts, rates and retries."""
    names = [field.name for field in fields(kind)]
    assert 0 < tried(Call(kind.__name__, name, with_one(kind, name, **needed), (), name == "name") for name in names)


@pytest.mark.parametrize("lane", ["default", "other"])
@pytest.mark.parametrize("verb", VERBS)
def test_verbs(verb, lane, shared, url):
    """The verbs take what a Request takes, of the pool and of a lane; nothing foreign comes out."""
    client = shared if lane == "default" else shared.lane(lane)
    calls = [
        Call(verb, name, lambda value, name=name: asked(client, verb, url, {name: value}), ("body",))
        for name in OF_A_REQUEST
    ]
    assert 0 < tried([*calls, Call(verb, "url", lambda value: asked(client, verb, value, {}), ("URL", "submit"), True)])


def asked(client: Any, verb: str, url: Any, options: dict[str, Any]) -> None:
    if verb == "stream":
        opened(client.stream("POST", url, **options))
    elif verb == "request":
        client.request("POST", url, **options)
    elif verb == "submit":
        client.submit(url, **({"method": "POST"} | options)).result(20)
    else:
        getattr(client, verb)(url, **options)


def test_verbs_of_the_module(url):
    """The module's verbs are those of its pool."""
    try:
        assert 0 < tried(
            Call("post", name, lambda value, name=name: workerpool.post(url, **{name: value}), ("body",))
            for name in OF_A_REQUEST
        )
    finally:
        workerpool.get_pool().shutdown()


def test_pools(shared):
    """What makes pools, sessions and views of lanes."""

    def pool(**options: Any) -> None:
        WorkerPool(**options).shutdown(timeout=5)

    def down(**options: Any) -> None:
        with WorkerPool(workers=1) as other:
            other.shutdown(**options)

    def configured(name: Any, **options: Any) -> None:
        workerpool.configure(name, **options)
        workerpool.get_pool(name).shutdown()

    of_a_lane = ("headers", "cookies", "timeout", "connections", "ssl")  # the rest is tried above, without threads
    assert 0 < tried([
        *(Call("WorkerPool", name, with_one(pool, name), (), name == "name") for name in ("workers", "lanes", "name", "slow_callback")),
        Call("lane", "name", lambda value: shared.lane(value), ("lane",), True),
        Call("like", "lane", lambda value: opened(shared.like(value)), ("lane",), True),
        *(Call("like", name, lambda value, name=name: opened(shared.like("other", **{name: value}))) for name in of_a_lane),
        Call("get_pool", "name", lambda value: workerpool.get_pool(value).shutdown(), (), True),
        Call("configure", "name", lambda value: configured(value), (), True),
        *(Call("configure", name, lambda value, name=name: configured("wrong", **{name: value})) for name in ("workers", "timeout")),
        *(Call("WorkerPool", name, with_one(pool, name)) for name in of_a_lane),
        *(Call("session", name, lambda value, name=name: opened(shared.session(**{name: value}))) for name in of_a_lane),
        Call("drain", "timeout", lambda value: shared.drain(value)),
        *(Call("shutdown", name, with_one(down, name)) for name in ("wait", "cancel_futures", "timeout")),
        *(Call(kind.__name__, "pool", kind, ("WorkerPool",), True) for kind in (PoolAdapter, PoolTransport, AsyncPoolTransport)),
        *(Call(kind.__name__, "lane", lambda value, kind=kind: kind(shared, value)) for kind in (PoolAdapter, PoolTransport)),
    ])  # fmt: skip


def test_work(shared, url):
    """What takes many inputs, and functions."""
    assert 0 < tried([
        Call("submit", "target", lambda value: shared.submit(value).result(20), ("URL", "url", "submit", "function"), True),
        Call("submit", "args", lambda value: shared.submit(nothing, value).result(20)),
        Call("submit", "stream", lambda value: shared.submit(url, stream=value).result(20)),
        Call("submit(Request)", "stream", lambda value: shared.submit(Request(url), stream=value).result(20)),
        Call("send", "request", lambda value: shared.send(value), ("Request",)),
        Call("stream", "method", lambda value: opened(shared.stream(value)), ("method", "Request")),
        Call("map", "fn", lambda value: list(shared.map(value, [1])), ("function",)),
        Call("map", "buffersize", lambda value: list(shared.map(nothing, [1, 2], buffersize=value))),
        Call("call", "fn", lambda value: shared.call(value).result(20), ("function",)),
        Call("call", "priority", lambda value: shared.call(nothing, priority=value).result(20)),
        Call("fetch_many", "buffersize", lambda value: list(shared.fetch_many([url], buffersize=value))),
        Call("Job.result", "timeout", lambda value: shared.submit(url).result(value)),
        Call("Job.exception", "timeout", lambda value: shared.submit(url).exception(value)),
        *(Call("map", name, lambda value, name=name: list(shared.map(nothing, [1], **{name: value}))) for name in ("job_timeout", "priority")),
        *(
            Call("fetch_many", name, lambda value, name=name: list(shared.fetch_many([url], **{name: value})), ("body",))
            for name in OF_A_REQUEST
        ),
        Call("map", "timeout", lambda value: list(shared.map(nothing, [1, 2], timeout=value))),
        Call("map", "chunksize", lambda value: list(shared.map(nothing, [1, 2], chunksize=value))),
        Call("fetch_many", "ordered", lambda value: list(shared.fetch_many([url], ordered=value))),
        Call("fetch_many", "item", lambda value: [result.unwrap() for result in shared.fetch_many([value])], ("URL", "url"), True),
        Call("call", "timeout", lambda value: shared.call(nothing, timeout=value).result(20)),
    ])  # fmt: skip


def test_answers(shared, url):
    """What can be asked of an answer, whole or on its way."""
    whole = shared.get(url)
    assert 0 < tried([
        Call("Response.iter_content", "chunk_size", lambda value: list(whole.iter_content(value))),
        Call("Response.iter_bytes", "chunk_size", lambda value: list(whole.iter_bytes(value))),
        Call("Response.encoding", "encoding", lambda value: setattr(whole, "encoding", value)),
        Call("iter_bytes", "chunk_size", lambda value: opened(shared.stream("GET", url), lambda it: list(it.iter_bytes(value)))),
        Call("iter_lines", "max_line", lambda value: opened(shared.stream("GET", url), lambda it: list(it.iter_lines(max_line=value)))),
        Call("iter_content", "chunk_size", lambda value: opened(shared.stream("GET", url), lambda it: list(it.iter_content(value)))),
    ])  # fmt: skip


@pytest.fixture
def talking(monkeypatch):
    """A WebSocket whose server says something every time it hears something, and once at the beginning."""

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("x")
        async for _ in socket:
            await socket.send_str("x")
        return socket

    application = Site._application

    def with_talk(self: Site) -> web.Application:
        made = application(self)
        made.router.add_get("/talk", talk)
        return made

    monkeypatch.setattr(Site, "_application", with_talk)
    with Site() as site:
        yield site.url_for("/talk").replace("http", "ws")


def test_websockets(shared, talking):
    """What opens one, and what can be said through it."""

    def open_one(**options: Any) -> None:
        opened(shared.websocket(**options))

    def said(use: Callable[[Any, Any], object]) -> Callable[[Any], object]:
        return lambda value: opened(shared.websocket(talking), lambda socket: use(socket, value))

    assert 0 < tried([
        Call("websocket", "url", with_one(open_one, "url"), ("URL",), True),
        *(Call("websocket", name, with_one(open_one, name, url=talking)) for name in ("headers", "protocols", "timeout", "max_message", "heartbeat", "compress")),
        Call("send", "data", said(lambda socket, value: socket.send(value)), ("message",)),
        Call("send", "timeout", said(lambda socket, value: socket.send("x", value))),
        Call("ping", "data", said(lambda socket, value: socket.ping(value)), ("ping",)),
        Call("recv", "timeout", said(lambda socket, value: socket.recv(value))),
        Call("close", "code", said(lambda socket, value: socket.close(value)), ("close code",)),
        Call("close", "reason", said(lambda socket, value: socket.close(1000, value)), ("close reason",)),
    ])  # fmt: skip


def test_there_are_enough_kinds():
    """Forty at least."""
    assert len(wrong_values()) >= 40
