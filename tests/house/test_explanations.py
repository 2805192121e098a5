"""Each error, each stage and each public call is explained, and what is said of them is so."""

import importlib
import inspect
import sys
import typing

import pytest
from faults import EXPECTED, FAULTS

import workerpool
import workerpool.scraping
from workerpool import (
    Job,
    Request,
    Response,
    Result,
    Retry,
    StreamedResponse,
    WebSocket,
    WorkerPool,
    WorkerPoolError,
    errors,
)
from workerpool.explanations import CALLS, ERRORS, STAGES
from workerpool.policies.retry import wait_before_retry
from workerpool.scraping import errors as of_runs

KINDS = {name: getattr(workerpool, name) for name in [*errors.__all__, "HTTPStatusError"]}
# Of a Response, or nothing that is waited for, or a Future's own way of telling; they raise nothing of the pool's.
SILENT = {
    WorkerPool: {"is_open", "lane_settings", "name"},
    Job: {"attempts", "cancel", "cancelled", "done", "running", "elapsed", "lane", "request", "worker", "add_done_callback",
          "set_exception", "set_result", "set_running_or_notify_cancel"},
    StreamedResponse: set(),
    WebSocket: {"protocol", "close", "closed", "url"},
    Result: {"index", "request", "response", "error", "ok", "meta"},
}  # fmt: skip


def test_every_public_error_is_explained():
    """Of each room, and nothing that is none."""
    pytest.importorskip("distributed")
    for room in ("cluster", "service.client"):
        importlib.import_module(f"workerpool.{room}.errors")
    assert {*KINDS, *of_runs.__all__} <= {kind.__name__ for kind in public(WorkerPoolError)}
    assert {kind.__name__ for kind in public(WorkerPoolError)} == set(ERRORS)


def public(kind):
    """Yield the class and all below it that a module of errors or of answers lists."""
    if kind.__name__ in getattr(sys.modules[kind.__module__], "__all__", ()):
        yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith("workerpool."):
            yield from public(each)


def test_every_stage_is_explained():
    assert set(typing.get_args(errors.Stage)) - {""} == set(STAGES)
    assert errors.BEFORE_SENDING == {name for name, stage in STAGES.items() if stage.sent == "no"} | {"retry"}


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if issubclass(kind, errors.RequestError)])
def test_what_is_tried_again_is_told(name):
    """As the policy has it."""
    kind = KINDS[name]
    error = kind("told", "", 0) if kind is errors.JSONDecodeError else kind.__new__(kind, "told")
    again = wait_before_retry(Retry(), Request("GET", "http://a.example/"), 1, error)
    assert ERRORS[name].again == (again is not None)


@pytest.mark.parametrize(
    "kind", [kind for kind, each in EXPECTED.items() if each.errors and FAULTS[kind].at != "accept"]
)
def test_what_was_sent_is_told(kind):
    """As the servers of the faults see it, but for those that answer before they are asked."""
    expected = EXPECTED[kind]
    said = {ERRORS[error.__name__].sent for error in expected.errors}
    assert "perhaps" in said or said == {"yes" if expected.hits else "no"}


def test_every_public_call_has_its_list():
    """Of errors that exist, of calls that exist; each method has one, or is told to raise nothing."""
    assert {name for call in CALLS.values() for name in call.raises} <= set(ERRORS)
    things = {"pool": WorkerPool, "job": Job, "result": Result, "response": Response, "streamed": StreamedResponse,
              "socket": WebSocket, "workerpool": workerpool}  # fmt: skip
    for call in CALLS:
        thing, _, name = call.rpartition(".")
        assert hasattr(things[thing or "workerpool"], name)
    for thing, silent in SILENT.items():
        (called,) = [name for name, each in things.items() if each is thing]
        names = {name for name, _ in inspect.getmembers(thing) if not name.startswith("_")} - silent
        told = {name.removeprefix(f"{called}.") for name in CALLS if name.startswith(f"{called}.")}
        assert told <= names
        if thing in (WorkerPool, Result):
            assert names == told


def test_each_has_a_cure():
    for each in [*ERRORS.values(), *STAGES.values()]:
        assert each.wire.endswith("."), each
        assert each.cure.endswith((".", "`.")), each
