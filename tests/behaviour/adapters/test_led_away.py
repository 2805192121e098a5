"""Redirects that requests and httpx follow by themselves: a lane's secrets go to the origin that was asked for."""

import asyncio
import pickle

import httpx
import pytest
import requests
from servers import Scripted, ok, read_request

from workerpool import Lane, WorkerPool
from workerpool.adapters.httpx import AsyncPoolTransport, PoolTransport
from workerpool.adapters.requests import FuturesSession, PoolAdapter

SECRETS = {
    "auth": ("me", "SECRET"),
    "headers": {"X-Api-Key": "SECRET", "Accept-Language": "de"},
    "cookies": {"sid": "SECRET"},
}


def _by_requests(pool, lane, url):
    with requests.Session() as session:
        session.mount("http://", PoolAdapter(pool, lane))
        answer = session.get(url)
        assert answer.text == pickle.loads(pickle.dumps(answer)).text
        return answer.text


def _by_a_stream_of_requests(pool, lane, url):
    with requests.Session() as session:
        session.mount("http://", PoolAdapter(pool, lane))
        return session.get(url, stream=True).text


def _by_futures(pool, lane, url):
    with FuturesSession(pool=pool, lane=lane) as session:
        return session.get(url).result(60).text


def _by_httpx(pool, lane, url):
    with httpx.Client(transport=PoolTransport(pool, lane), follow_redirects=True) as client:
        return client.get(url).text


def _by_async_httpx(pool, lane, url):
    async def main():
        async with httpx.AsyncClient(transport=AsyncPoolTransport(pool, lane), follow_redirects=True) as client:
            return (await client.get(url)).text

    return asyncio.run(main())


def _lead(place):
    """Return a script that redirects to the place, by way of another page of its own."""

    def answer(connection):
        seen.append(read_request(connection))
        there = b"/next" if b"GET /start" in seen[-1] else place.encode()
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % there)

    seen = []
    return answer, seen


@pytest.mark.parametrize("way", [_by_requests, _by_a_stream_of_requests, _by_futures, _by_httpx, _by_async_httpx])
@pytest.mark.parametrize("lane", [None, "keys"])
def test_a_lanes_secrets_go_to_the_origin_that_was_asked_for(way, lane):
    """Through its own redirects, too, and to no other that these lead to; that one gets them where it is asked itself."""
    with Scripted([ok(b"there")], again=True) as there:
        answer, seen = _lead(there.url)
        lanes = [Lane("keys", **SECRETS)]
        with (
            Scripted([answer, answer], again=True) as here,
            WorkerPool(lanes=lanes, **({} if lane else SECRETS)) as pool,
        ):
            assert "there" == way(pool, lane, f"{here.url}start")
            assert 2 == len(seen)
            for request in seen:
                assert 3 == request.count(b"SECRET") + request.count(b"Authorization: Basic")
            assert "there" == way(pool, lane, there.url)
    led, asked = there.seen
    assert b"SECRET" not in led
    assert b"Authorization" not in led
    assert b"Accept-Language: de" in led
    assert 3 == asked.count(b"SECRET") + asked.count(b"Authorization: Basic")


def test_a_request_that_is_sent_again_is_asked_for_anew():
    """Only a copy, as requests makes one for a redirect, keeps to the first URL."""
    with Scripted([ok(b"a")], again=True) as one, Scripted([ok(b"b")], again=True) as other:
        with WorkerPool(auth=("me", "SECRET")) as pool, requests.Session() as session:
            session.mount("http://", PoolAdapter(pool))
            request = session.prepare_request(requests.Request("GET", one.url))
            assert "a" == session.send(request).text
            request.url = other.url
            assert "b" == session.send(request).text
    assert b"Authorization: Basic" in other.seen[0]
