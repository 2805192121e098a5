"""Each argument of each public call, left open for wrong values; how many are tried, and what comes of them.

python tests/behaviour/wrong_calls.py
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from inspect import signature
from typing import Any

from aiohttp import web
from wrong_adapters import of_httpx, of_prometheus, of_requests, of_testing
from wrong_values import Call, fault_of, opened, with_one, wrong_values

import workerpool
from workerpool import AddressRules, Lane, Rate, Request, Response, Result, Retry, ServerSentEvent, Timeout, WorkerPool
from workerpool.lane import LaneOptions
from workerpool.messages.request import RequestOptions
from workerpool.testing import Site

__all__ = ["GROUPS", "World", "tried", "world"]

OF_A_REQUEST = list(RequestOptions.__annotations__)
OF_A_RESPONSE = list(signature(Response).parameters)
OF_A_LANE = list(LaneOptions.__annotations__)
VERBS = ["get", "options", "head", "post", "put", "patch", "delete", "request", "stream", "submit"]


class TalkingSite(Site):
    """Has a WebSocket that says something when it is opened and when it hears something, and a stream of events."""

    def _application(self) -> web.Application:
        application = super()._application()
        application.router.add_get("/talk", _talk)
        application.router.add_get("/events", _events)
        return application


async def _talk(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("x")
    async for _ in socket:
        await socket.send_str("x")
    return socket


async def _events(_request: web.Request) -> web.Response:
    return web.Response(text="data: x\n\n", content_type="text/event-stream")


@dataclass(frozen=True)
class World:
    """What the calls are tried on."""

    site: Site
    pool: WorkerPool

    @property
    def url(self) -> str:
        """A page that takes every method."""
        return self.site.url_for("/echo")

    @property
    def talk(self) -> str:
        """A WebSocket's."""
        return self.site.url_for("/talk").replace("http", "ws")


@contextmanager
def world() -> Iterator[World]:
    """Let the site and the pool run."""
    lanes = [Lane("other")]
    with TalkingSite() as site, WorkerPool(name="wronged", timeout=Timeout(20), retry=None, lanes=lanes) as pool:
        yield World(site, pool)


async def nothing(_session: Any, *_args: Any) -> None:
    """Do it."""


def messages(_world: World) -> list[Call]:
    """Return the calls that make requests, settings and records: they are checked when they are made."""
    url = "http://host/"
    settings: list[tuple[Any, dict[str, Any]]] = [
        (Lane, {"name": "a"}),
        (Timeout, {}),
        (Rate, {"limit": 1}),
        (Retry, {}),
        (AddressRules, {}),
    ]
    whole = {"request": Request(url), "url": url, "status": 200, "reason": "OK", "headers": {}}
    return [
        *(Call("Request", name, with_one(Request, name, method="POST", url=url)) for name in OF_A_REQUEST),
        *(
            Call("Request", name, with_one(Request, name, url=url), ("URL",), name == "url")
            for name in ("method", "url")
        ),
        Call("Request", "first", lambda value: Request(value), ("URL", "url"), True),
        Call("Request", "first", lambda value: Request(value, url), ("method",)),
        Call("Request", "second", lambda value: Request("GET", value), ("URL", "url"), True),
        Call("Request.with_header", "name", lambda value: Request(url).with_header(value, "a"), ("headers",)),
        Call("Request.with_header", "value", lambda value: Request(url).with_header("a", value), ("headers",)),
        *(
            Call(kind.__name__, field.name, with_one(kind, field.name, **needed), (), field.name == "name")
            for kind, needed in settings
            for field in fields(kind)
        ),
        Call("AddressRules.explain", "url_or_address", AddressRules().explain),
        Call("Timeout.of", "value", Timeout.of, ("timeout",)),
        Call("Rate.of", "value", Rate.of, ("rate",)),
        *(Call("Response", name, with_one(Response, name, **whole)) for name in OF_A_RESPONSE),
        *(
            Call("Result", name, with_one(Result, name, index=0, request=url, response=None, error=None))
            for name in ("index", "request", "response", "error")
        ),
        *(Call("ServerSentEvent", name, with_one(ServerSentEvent, name, data="")) for name in ("data", "event", "id")),
    ]


def verbs(lane: str) -> Callable[[World], list[Call]]:
    """Return what gives the verbs of the pool or of a lane; they take what a Request takes."""

    def calls(world: World) -> list[Call]:
        client = world.pool if lane == "default" else world.pool.lane(lane)
        return [call for verb in VERBS for call in _of_a_verb(client, "Client.", verb, world.url)]

    return calls


def verbs_of_the_module(world: World) -> list[Call]:
    """Return the verbs of the default pool."""
    return [
        call
        for verb in VERBS
        if verb not in ("stream", "submit")
        for call in _of_a_verb(workerpool, "", verb, world.url)
    ]


def _of_a_verb(client: Any, where: str, verb: str, url: str) -> list[Call]:
    def asked(url: Any, options: dict[str, Any], method: Any = "POST") -> object:
        if verb == "stream":
            return opened(client.stream(method, url, **options))
        if verb == "request":
            return client.request(method, url, **options)
        if verb == "submit":
            return client.submit(url, method=method, **options).result(20)
        return getattr(client, verb)(url, **options)

    def given(**options: Any) -> object:
        return asked(url, options)

    what = where + verb
    calls = [Call(what, name, with_one(given, name), ("body",)) for name in OF_A_REQUEST]
    first = "target" if verb == "submit" else "url"
    calls.append(Call(what, first, lambda value: asked(value, {}), ("URL", "url", "submit"), True))
    if verb in ("stream", "request", "submit"):
        calls.append(Call(what, "method", lambda value: asked(url, {}, value)))
    return calls


def pools(world: World) -> list[Call]:
    """Return what makes pools, sessions and views of lanes, and ends them."""
    shared = world.pool

    def pool(**options: Any) -> None:
        WorkerPool(**options).shutdown(timeout=5)

    def liked(**options: Any) -> None:
        opened(shared.like("other", **options))

    def private(**options: Any) -> None:
        opened(shared.session(**options))

    def down(**options: Any) -> None:
        with WorkerPool(workers=1) as other:
            other.shutdown(**options)

    def configured(pool_name: Any, **options: Any) -> None:
        try:
            workerpool.configure(pool_name, **options)
            workerpool.get_pool(pool_name).shutdown()
        finally:
            if pool_name == "wrong":
                workerpool.configure(pool_name)

    def closed(value: Any) -> None:
        with shared.session() as session:
            session.close(wait=value)

    own = {"event_loop": lambda value: value()}  # what a function of the user's raises is its own
    of_a_pool = ["workers", "lanes", "slow_callback", *OF_A_LANE]
    return [
        *(Call("WorkerPool", name, with_one(pool, name), (), name == "name", plain=own.get(name)) for name in ("name", *of_a_pool)),
        Call("WorkerPool.lane", "name", lambda value: shared.lane(value), ("lane",), True),
        Call("WorkerPool.like", "lane", lambda value: opened(shared.like(value)), ("lane",), True),
        *(Call("WorkerPool.like", name, with_one(liked, name)) for name in OF_A_LANE),
        *(Call("WorkerPool.session", name, with_one(private, name)) for name in OF_A_LANE),
        Call("get_pool", "name", lambda value: workerpool.get_pool(value).shutdown(), (), True),
        Call("configure", "name", lambda value: configured(value), (), True),
        *(Call("configure", name, with_one(configured, name, pool_name="wrong"), plain=own.get(name)) for name in of_a_pool),
        Call("WorkerPool.drain", "timeout", lambda value: shared.drain(value)),
        *(Call("WorkerPool.shutdown", name, with_one(down, name)) for name in ("wait", "cancel_futures", "timeout")),
        Call("PoolSession.close", "wait", closed),
        Call("PoolStats.lane", "name", lambda value: shared.stats().lane(value), (), True, (KeyError,)),
    ]  # fmt: skip


def work(world: World) -> list[Call]:
    """Return what takes many inputs, and functions; and what can be asked of a job."""
    shared, url = world.pool, world.url

    def mapped(**options: Any) -> object:
        return list(shared.map(nothing, [1, 2], **options))

    def fetched(**options: Any) -> object:
        return list(shared.fetch_many([url], **options))

    return [
        Call("Client.submit", "target", lambda value: shared.submit(value).result(20), ("URL", "url", "submit", "function"), True),
        Call("Client.submit", "args", lambda value: shared.submit(nothing, value).result(20)),
        Call("Client.submit", "stream", lambda value: shared.submit(url, stream=value).result(20)),
        Call("Client.submit", "stream", lambda value: shared.submit(Request(url), stream=value).result(20)),
        Call("Client.send", "request", lambda value: shared.send(value), ("Request",)),
        Call("Client.stream", "method", lambda value: opened(shared.stream(value)), ("method", "Request")),
        Call("Client.map", "fn", lambda value: list(shared.map(value, [1])), ("function",)),
        Call("Client.map", "iterables", lambda value: list(shared.map(nothing, value)), ("iter", "map"), plain=list),
        *(
            Call("Client.map", name, with_one(mapped, name))
            for name in ("timeout", "chunksize", "buffersize", "job_timeout", "priority")
        ),
        Call("Client.call", "fn", lambda value: shared.call(value).result(20), ("function",)),
        Call("Client.call", "args", lambda value: shared.call(nothing, value).result(20)),
        Call("Client.call", "priority", lambda value: shared.call(nothing, priority=value).result(20)),
        Call("Client.call", "timeout", lambda value: shared.call(nothing, timeout=value).result(20)),
        Call("Client.fetch_many", "requests", lambda value: list(shared.fetch_many(value)), ("URL", "iter", "fetch_many"), True, plain=list),
        Call("Client.fetch_many", "requests", lambda value: [each.unwrap() for each in shared.fetch_many([value])], ("URL", "url"), True),
        *(
            Call("Client.fetch_many", name, with_one(fetched, name), ("body",))
            for name in ("ordered", "buffersize", "method", *OF_A_REQUEST)
        ),
        Call("Job.result", "timeout", lambda value: shared.submit(url).result(value)),
        Call("Job.exception", "timeout", lambda value: shared.submit(url).exception(value)),
        Call("Job.add_done_callback", "fn", lambda value: shared.submit(url).add_done_callback(value)),
    ]  # fmt: skip


def answers(world: World) -> list[Call]:
    """Return what can be asked of an answer, whole or on its way, on a thread or on a loop."""
    shared, whole = world.pool, world.pool.get(world.url)

    def streamed(use: Callable[[Any, Any], Iterable[Any]]) -> Callable[[Any], object]:
        return lambda value: opened(shared.stream("GET", world.url), lambda answer: list(use(answer, value)))

    def on_a_loop(method: str, name: str, path: str = "/echo") -> Callable[[Any], object]:
        async def read(value: Any) -> None:
            async with shared.stream("GET", world.site.url_for(path)) as answer:
                async for _ in getattr(answer, method)(**{name: value}):
                    break

        return lambda value: asyncio.run(read(value))

    def event(**options: Any) -> object:
        return opened(
            shared.stream("GET", world.site.url_for("/events")), lambda answer: next(answer.iter_events(**options))
        )

    def encoded(value: Any) -> object:
        return opened(shared.stream("GET", world.url), lambda answer: setattr(answer, "encoding", value))

    return [
        Call("Response.iter_content", "chunk_size", lambda value: list(whole.iter_content(value))),
        Call("Response.iter_content", "decode_unicode", lambda value: list(whole.iter_content(9, value))),
        Call("Response.iter_bytes", "chunk_size", lambda value: list(whole.iter_bytes(value))),
        Call("Response.encoding", "encoding", lambda value: setattr(whole, "encoding", value)),
        Call("StreamedResponse.encoding", "encoding", encoded),
        Call("StreamedResponse.iter_bytes", "chunk_size", streamed(lambda it, value: it.iter_bytes(value))),
        Call("StreamedResponse.iter_content", "chunk_size", streamed(lambda it, value: it.iter_content(value))),
        Call("StreamedResponse.iter_content", "decode_unicode", streamed(lambda it, value: it.iter_content(9, value))),
        Call("StreamedResponse.iter_lines", "max_line", streamed(lambda it, value: it.iter_lines(max_line=value))),
        *(Call("StreamedResponse.iter_events", name, with_one(event, name)) for name in ("reconnect", "max_line")),
        Call("StreamedResponse.aiter_bytes", "chunk_size", on_a_loop("aiter_bytes", "chunk_size")),
        Call("StreamedResponse.aiter_lines", "max_line", on_a_loop("aiter_lines", "max_line")),
        *(
            Call("StreamedResponse.aiter_events", name, on_a_loop("aiter_events", name, "/events"))
            for name in ("reconnect", "max_line")
        ),
    ]  # fmt: skip


def websockets(world: World) -> list[Call]:
    """Return what opens one, and what can be said through it."""

    def open_one(**options: Any) -> None:
        opened(world.pool.websocket(**options))

    def said(use: Callable[[Any, Any], object]) -> Callable[[Any], object]:
        return lambda value: opened(world.pool.websocket(world.talk), lambda socket: use(socket, value))

    of_one = ("headers", "protocols", "timeout", "max_message", "heartbeat", "compress")
    return [
        Call("Client.websocket", "url", with_one(open_one, "url"), ("URL",), True),
        *(Call("Client.websocket", name, with_one(open_one, name, url=world.talk)) for name in of_one),
        Call("WebSocket.send", "data", said(lambda socket, value: socket.send(value)), ("message",)),
        Call("WebSocket.send", "timeout", said(lambda socket, value: socket.send("x", value))),
        Call("WebSocket.ping", "data", said(lambda socket, value: socket.ping(value)), ("ping",)),
        Call("WebSocket.recv", "timeout", said(lambda socket, value: socket.recv(value))),
        Call("WebSocket.close", "code", said(lambda socket, value: socket.close(value)), ("close code",)),
        Call("WebSocket.close", "reason", said(lambda socket, value: socket.close(1000, value)), ("close reason",)),
    ]


GROUPS: dict[str, Callable[[World], list[Call]]] = {
    "messages": messages,
    "verbs": verbs("default"),
    "verbs of a lane": verbs("other"),
    "verbs of the module": verbs_of_the_module,
    "pools": pools,
    "work": work,
    "answers": answers,
    "websockets": websockets,
    "requests": lambda world: of_requests(world.pool, world.url),
    "httpx": lambda world: of_httpx(world.pool, world.url),
    "prometheus": lambda _world: of_prometheus(),
    "testing": lambda world: of_testing(world.site),
}


def tried(calls: Iterable[Call]) -> tuple[int, list[str]]:
    """Give each call each of the values; return how many that were, and what was wrong."""
    number, faults = 0, []
    for call in calls:
        for name, value in wrong_values().items():
            number += 1
            if (fault := fault_of(call, name, value)) is not None:
                faults.append(fault)
    return number, faults


def main() -> None:
    """Try all, and tell how many there were."""
    number, faults = 0, list[str]()
    pairs = set[tuple[str, str]]()
    with world() as it:
        for group in GROUPS.values():
            calls = group(it)
            pairs |= {(call.what, call.argument) for call in calls}
            tries, found = tried(calls)
            number, faults = number + tries, faults + found
    workerpool.get_pool().shutdown()
    kinds = Counter(fault.partition(":")[0] for fault in faults)
    print(*faults, sep="\n")
    print(f"{len(pairs)} arguments of {len({what for what, _ in pairs})} calls, {len(wrong_values())} values each")
    unnamed, secrets = kinds["names no argument"], kinds["tells the value"]
    print(
        f"calls tried {number}, foreign errors {len(faults) - unnamed - secrets}, secrets {secrets}, unnamed {unnamed}"
    )
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
