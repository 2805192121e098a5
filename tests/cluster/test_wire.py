"""What travels: nothing but plain values, types of ours and exceptions comes back."""

import os
import pickle
import threading

import pytest

from workerpool import (
    ConnectError,
    DNSError,
    HTTPStatusError,
    InvalidRequest,
    Request,
    RequestError,
    Response,
    WorkerPool,
)
from workerpool.cluster import NotPicklable, RemoteError
from workerpool.cluster.wire import as_error, errors_of, loads, packed, unpacked
from workerpool.handover.errand import Call, Fetch


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


class Own(Exception):
    pass


def test_code_of_others_is_not_called():
    """A worker that was taken over cannot have the client run anything."""
    with pytest.raises(NotPicklable, match="system of posix"):
        loads(pickle.dumps(Evil()))


@pytest.mark.parametrize("name", ["eval", "getattr", "open", "object", "type", "__import__"])
def test_builtins_are_not_admitted(name):
    """But exceptions and containers."""
    with pytest.raises(NotPicklable):
        loads(b"c" + f"builtins\n{name}\n.".encode())


def test_dotted_names_are_not_followed():
    """Nor what an admitted module has imported."""
    for name in ("aiohttp.client_exceptions\nasyncio", "ssl\nos.system", "ssl\nsocket", "json.decoder\nscanner"):
        with pytest.raises(NotPicklable):
            loads(b"\x80\x04" + b"c" + name.encode() + b"\n.")


@pytest.mark.parametrize("value", [None, {"a": [1, 2.5, b"x", ("y", {3})]}, 1 + 2j, bytearray(b"z")])
def test_plain_values_come_through(value):
    """As they are."""
    assert value == loads(pickle.dumps(value))


def test_an_error_keeps_its_class_its_facts_and_its_causes():
    """As it was raised on the worker."""
    error = DNSError(
        "GET https://nowhere/: no such name", url="https://nowhere/", method="GET", attempts=2, stage="dns"
    )
    error.__cause__ = OSError(5, "that")
    found = as_error(errors_of(error))
    assert (DNSError, "https://nowhere/", 2, "dns") == (type(found), found.url, found.attempts, found.stage)
    assert isinstance(found.__cause__, OSError)
    assert 5 == found.__cause__.errno


def test_an_error_of_the_users_is_told_by_its_name():
    """Its class is not imported."""
    found = as_error(errors_of(Own("so")))
    assert isinstance(found, RemoteError)
    assert found.kind.endswith("test_wire.Own")
    assert "so" in str(found)


def test_a_plain_get_travels_as_its_url():
    """And meta stays where it is."""
    assert "http://host/" == packed(Fetch(Request("http://host/", meta=threading.Lock()), None))


def test_a_request_travels_whole():
    """Without its meta, which need not be picklable."""
    request = Request("POST", "http://host/", json={"a": 1}, headers={"X-A": "b"}, timeout=3, meta=threading.Lock())
    found = unpacked(packed(Fetch(request, None)))
    assert (request.method, request.url, request.body, request.headers, request.timeout, None) == (
        found.method, found.url, found.body, found.headers, found.timeout, found.meta,
    )  # fmt: skip


def test_a_file_does_not_travel(tmp_path):
    """The error names the request and the cure, at the call."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file, pytest.raises(NotPicklable, match=r"POST http://host/.*data=file.read\(\)"):
        packed(Fetch(Request("POST", "http://host/", data=file), None))


def test_what_a_closure_holds_is_named():
    """Which one it is, what it is, and what to do."""
    lock = threading.Lock()

    async def fn(session):
        return lock

    with pytest.raises(NotPicklable, match=r"function .*fn.*'lock' of its closure, a lock, cannot be pickled; make"):
        packed(Call(fn))


def test_the_argument_is_named():
    """By its place or its name."""

    async def fn(session, *args, **kwargs):
        return None

    with pytest.raises(NotPicklable, match="argument 1, a lock"):
        packed(Call(fn, (1, threading.Lock())))
    with pytest.raises(NotPicklable, match="argument 'held', a lock"):
        packed(Call(fn, (), {"held": threading.Lock()}))


def test_the_error_of_a_status_carries_its_answer():
    """As any pickle of it does: without secrets."""
    from multidict import CIMultiDict, CIMultiDictProxy

    answer = Response(Request("http://host/?key=1"), "http://host/?key=1", 404, "", CIMultiDictProxy(CIMultiDict()))
    try:
        answer.raise_for_status()
    except RequestError as error:
        found = as_error(errors_of(error))
    assert isinstance(found, HTTPStatusError)
    assert 404 == found.response.status_code
    assert InvalidRequest is type(as_error(errors_of(InvalidRequest("no"))))


def test_errors_are_pickled_as_without_a_cluster(free_port):
    """distributed would have their causes in, such as a connection's TLS context, which no pickle takes."""
    with WorkerPool() as pool, pytest.raises(ConnectError) as caught:
        pool.get(f"https://127.0.0.1:{free_port}/", retry=None)
    assert caught.value.__cause__ is not None
    assert str(caught.value) == str(pickle.loads(pickle.dumps(caught.value)))
