"""The same for the adapters, whose errors are those of the library that they are under, and for what tests are given."""

import asyncio
from typing import Any

import httpx
import requests
from wrong_values import Call, with_one

from workerpool import WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.prometheus import PoolCollector
from workerpool.adapters.requests import FuturesSession, PoolAdapter, install, uninstall
from workerpool.testing import FakePool, ScriptedSite, Site

__all__ = ["of_httpx", "of_prometheus", "of_requests", "of_testing"]

OF_A_REPLY = (
    "target", "method", "status", "json", "text", "body", "headers", "delay", "error", "handler", "times"
)  # fmt: skip
OF_A_SEND = ("stream", "timeout", "verify", "cert", "proxies")


def of_requests(pool: WorkerPool, url: str) -> list[Call]:
    """Return the calls of the adapters of requests."""
    prepared = requests.Request("POST", url).prepare()

    def installed(**options: Any) -> None:
        try:
            install(**options)
            requests.Session().close()
        finally:
            uninstall()

    def session(**options: Any) -> None:
        FuturesSession(**options).close()

    def got(value: Any) -> object:
        with FuturesSession(pool=pool) as futures:
            return futures.get(value).result(20)

    own = (requests.RequestException,)
    theirs = requests.adapters.HTTPAdapter()
    send = PoolAdapter(pool).send
    made = with_one(PoolAdapter, "pool")
    of_an_adapter = ("lane", "pool_connections", "pool_maxsize", "max_retries", "pool_block")
    of_a_session = ("executor", "max_workers", "session", "adapter_kwargs", "lane")
    return [
        Call("PoolAdapter", "pool", made, ("WorkerPool",), True),
        *(Call("PoolAdapter", name, with_one(PoolAdapter, name, pool=pool)) for name in of_an_adapter),
        Call("PoolAdapter.send", "request", send, own=own, plain=theirs.send),
        *(
            Call(
                "PoolAdapter.send", name, with_one(send, name, request=prepared), own=own,
                plain=with_one(theirs.send, name, request=prepared),
            )
            for name in OF_A_SEND
        ),
        Call("install", "pool", with_one(installed, "pool"), ("WorkerPool",), True),
        Call("install", "adapter", with_one(installed, "adapter"), ("WorkerPool",), True),
        Call("install", "lane", with_one(installed, "lane", pool=pool)),
        Call("FuturesSession", "pool", with_one(session, "pool"), ("WorkerPool",), True),
        *(Call("FuturesSession", name, with_one(session, name, pool=pool)) for name in of_a_session),
        Call("FuturesSession.get", "url", got, ("URL",), True, own, lambda value: requests.get(value)),
    ]  # fmt: skip


def of_httpx(pool: WorkerPool, url: str) -> list[Call]:
    """Return the calls of the transports of httpx."""

    def sent(value: Any) -> None:
        PoolTransport(pool).handle_request(value)

    def sent_on_a_loop(value: Any) -> None:
        asyncio.run(AsyncPoolTransport(pool).handle_async_request(value))

    def plain(value: Any) -> None:
        asyncio.run(httpx.AsyncHTTPTransport().handle_async_request(value))

    kinds = (PoolTransport, AsyncPoolTransport)
    return [
        *(Call(kind.__name__, "pool", with_one(kind, "pool"), ("WorkerPool",), True) for kind in kinds),
        *(Call(kind.__name__, "lane", with_one(kind, "lane", pool=pool)) for kind in kinds),
        Call("PoolTransport.handle_request", "request", sent, plain=httpx.HTTPTransport().handle_request),
        Call("AsyncPoolTransport.handle_async_request", "request", sent_on_a_loop, plain=plain),
    ]


def of_prometheus() -> list[Call]:
    """Return the calls of the collector."""
    return [Call("PoolCollector", "pools", lambda value: list(PoolCollector(value).collect()))]


def of_testing(site: Site) -> list[Call]:
    """Return what tests can say to sites and pools without a network: it is theirs, and no secret."""

    def fake(**options: Any) -> None:
        FakePool(**options).shutdown()

    def scripted(argument: str) -> Any:
        def reply(value: Any) -> None:
            with FakePool(workers=1, retry=None) as pool:
                pool.reply(**{"target": "http://a.test/"} | {argument: value})

        return reply

    return [
        *(Call("FakePool", name, with_one(fake, name), (), name == "name") for name in ("lanes", "workers", "name", "timeout")),
        *(Call("Scripted.reply", name, scripted(name), (), True) for name in OF_A_REPLY),
        *(Call(kind.__name__, "tls", with_one(kind, "tls")) for kind in (Site, ScriptedSite)),
        Call("Site.url_for", "path", site.url_for),
        Call("Site.wait_in_flight", "number", lambda value: site.wait_in_flight(value, 0), own=(TimeoutError,)),
        Call("Site.wait_in_flight", "timeout", lambda value: site.wait_in_flight(0, value)),
    ]  # fmt: skip
