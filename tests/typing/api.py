"""What users write, as a type checker must see it: checked by mypy, never run."""

from collections.abc import Iterator
from typing import assert_type

import workerpool
from workerpool import Job, Lane, Request, Response, Result, Retry, StreamedResponse, Timeout, WebSocket, WorkerPool


async def count(session: object, url: str, *, at_most: int = 5) -> int:
    return at_most


async def text(session: object) -> str:
    return ""


def submit(pool: WorkerPool) -> None:
    assert_type(pool.submit("https://example.org/"), Job[Response])
    assert_type(pool.submit("https://example.org/", method="POST", json=1, timeout=5), Job[Response])
    assert_type(pool.submit(Request("https://example.org/")), Job[Response])
    assert_type(pool.submit(Request("https://example.org/"), stream=True), Job[StreamedResponse])
    assert_type(pool.submit("https://example.org/", stream=True, timeout=5), Job[StreamedResponse])
    assert_type(pool.submit(count, "https://example.org/", at_most=3), Job[int])
    assert_type(pool.submit(text).result(), str)
    assert_type(pool.call(count, "https://example.org/", timeout=5, priority=1), Job[int])
    pool.submit(count)  # type: ignore[call-overload]
    pool.submit(count, 5)  # type: ignore[call-overload]
    pool.submit(count, "", atmost=3)  # type: ignore[call-arg]
    pool.submit("https://example.org/", timout=5)  # type: ignore[call-overload]


def many(pool: WorkerPool) -> None:
    assert_type(pool.map(count, ["https://example.org/"]), Iterator[int])
    for result in pool.fetch_many(["https://example.org/"], timeout=Timeout(queue=5), headers={"A": "b"}):
        assert_type(result, Result)
        assert_type(result.response, Response | None)
        assert_type(result.unwrap(), Response)
    pool.fetch_many(["https://example.org/"], timout=5)  # type: ignore[call-arg]


def verbs(pool: WorkerPool) -> None:
    assert_type(pool.get("https://example.org/", {"q": 1}, timeout=5), Response)
    assert_type(pool.post("https://example.org/", json={}).raise_for_status(), Response)
    assert_type(workerpool.get("https://example.org/"), Response)
    assert_type(pool.send(Request("https://example.org/")), Response)
    pool.send("https://example.org/")  # type: ignore[arg-type]
    assert_type(pool.stream(Request("https://example.org/")).open(), StreamedResponse)
    pool.stream(Request("https://example.org/"), timeout=5)  # type: ignore[call-overload]
    with pool.stream("GET", "https://example.org/") as streamed:
        assert_type(streamed, StreamedResponse)
    with pool.websocket("wss://example.org/") as socket:
        assert_type(socket, WebSocket)
    pool.get("https://example.org/", timout=5)  # type: ignore[call-arg]
    pool.get("https://example.org/", verify=False)  # type: ignore[call-arg]


def attributes(pool: WorkerPool) -> None:
    pool.gett("https://example.org/")  # type: ignore[attr-defined]
    pool.timeout = 5  # type: ignore[attr-defined]
    assert_type(pool.name, str)
    assert_type(pool.lane_settings, Lane)
    assert_type(pool.lane("api").lane_settings, Lane)
    pool.like("api", connections=5, proxy=None).close(wait=False)
    pool.like("api", verify=False)  # type: ignore[call-arg]


def options() -> None:
    lanes = [Lane("bulk", connections=4, queue=100_000), Lane("api", rate=5, timeout=(1, 5), retry=Retry(attempts=2))]
    pool = WorkerPool(workers=2, lanes=lanes, connections=5, timeout=10)
    with pool.session(cookies={}, headers={"A": "b"}) as browser:
        assert_type(browser.get("/"), Response)
    Lane("bulk", conections=4)  # type: ignore[call-arg]
    WorkerPool(conections=5)  # type: ignore[call-arg]
    WorkerPool(connections="5")  # type: ignore[arg-type]
    pool.session(cokies={})  # type: ignore[call-arg]
