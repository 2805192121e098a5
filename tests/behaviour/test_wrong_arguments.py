"""Each argument of each public call with fifty kinds of wrong values: taken, or refused by name, at once, as ours."""

import dataclasses
import gc
import importlib
import inspect
import typing

import pytest
from wrong_calls import GROUPS, tried, world
from wrong_values import Call, fault_of, wrong_values

import workerpool

PUBLIC = [
    "workerpool", "workerpool.adapters.requests", "workerpool.adapters.httpx", "workerpool.adapters.prometheus",
    "workerpool.testing",
]  # fmt: skip

# What is not tried, and why.
LEFT = {
    "Job": "made by the pool",
    "LaneView": "made by the pool",
    "PoolSession": "made by the pool",
    "StreamedResponse": "made by the pool",
    "WebSocket": "made by the pool",
    "PoolStats": "numbers, made by the pool",
    "Received": "a record, made by the site",
    "FakePool.session": "WorkerPool's own, and the connector set",
    "FakePool.like": "WorkerPool's own, and the connector set",
    "FakePool.options": "those of WorkerPool, some of which are tried here as well",
    "Job.set_result": "never to be called, and says so",
    "Job.set_exception": "never to be called, and says so",
    "Job.renew": "called by the pool, in a forked child",
    "Lane.resolve": "called by the pool, with a Request",
    "Lane.max_body_for": "called by the pool, with a Request",
    "Lane.retry_for": "called by the pool, with a Request",
    "Lane.timeout_for": "called by the pool, with a Request",
    "Request.prepared": "called by adapters, whose libraries have checked what they give",
    "Request.unknown": "all are refused: test_keywords.py",
    "Response.json.options": "those of json.loads()",
    "StreamedResponse.json.options": "those of json.loads()",
    "Client.call.keywords": "all are refused: test_keywords.py",
    "WorkerPool.refused": "all are refused: test_options.py",
    "PoolAdapter.begin": "called by FuturesSession, with what `send` takes",
    "PoolAdapter.begun": "called by FuturesSession",
    "PoolAdapter.get_connection_with_tls_context": "called by requests, with what `send` takes",
    "PoolAdapter.init_poolmanager": "called by requests, with what the adapter was made with",
    "FuturesSession.request": "requests' own, which prepares them all",
    "FuturesSession.args": "requests' own",
    "FuturesSession.kwargs": "requests' own",
    "FuturesSession.get.kwargs": "requests' own",
}


@pytest.fixture(scope="module")
def everything():
    with world() as it:
        yield it


# urllib3, which the adapters of requests are compared with, leaves a socket to the collector where it refuses a timeout.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("group", GROUPS)
def test_wrong_values(group, everything):
    """Nothing foreign comes out, and no secret."""
    try:
        number, faults = tried(GROUPS[group](everything))
    finally:
        gc.collect()
        if "module" in group:
            workerpool.get_pool().shutdown()
    assert not faults, "\n".join(faults)
    assert number >= 40


def test_there_are_enough_kinds():
    """Forty at least."""
    assert len(wrong_values()) >= 40


def test_what_is_wrong_is_found():
    """A foreign error, a told value and a nameless refusal are faults; by name, or as the library below has it, is none."""

    def told(value):
        raise ValueError(f"a: {value}")

    def nameless(_value):
        raise TypeError("no")

    assert (fault_of(Call("f", "a", lambda value: value.nothing), "str", "SECRET") or "").startswith("foreign")
    assert (fault_of(Call("f", "a", told), "str", "SECRET") or "").startswith("tells the value")
    assert (fault_of(Call("f", "a", nameless), "str", "SECRET") or "").startswith("names no argument")
    assert fault_of(Call("f", "no", nameless), "str", "SECRET") is None
    assert fault_of(Call("f", "a", nameless, plain=nameless), "str", "SECRET") is None


def test_every_argument_of_every_public_call_is_tried(everything):
    """Whatever is added to what the packages export has to be added there, or to what is left, with the reason."""
    all_tried = {f"{call.what}.{call.argument}" for group in GROUPS.values() for call in group(everything)}
    public = {argument for name in PUBLIC for argument in _arguments_in(importlib.import_module(name))}
    left = {argument for argument in public if argument in LEFT or argument.rpartition(".")[0] in LEFT}
    assert public - left == public & all_tried
    assert not left & all_tried
    assert set(LEFT) <= left | {argument.rpartition(".")[0] for argument in left}
    assert len(public & all_tried) > 300


def _arguments_in(module):
    """Yield "call.argument" for what a module exports."""
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            if not issubclass(thing, BaseException):  # an error tells what it is given
                yield from _arguments_of(name, thing)
                yield from _arguments_of_methods(thing)
        elif callable(thing):
            yield from _arguments_of(name, thing)


def _arguments_of_methods(kind):
    for name in dir(kind):
        owner = next(each for each in kind.__mro__ if name in vars(each))
        if name.startswith("_") or not owner.__module__.startswith("workerpool") or owner.__module__.endswith(".work"):
            continue  # what another library has, or what the pool does with its work
        found = inspect.getattr_static(kind, name)
        if isinstance(found, property):
            if found.fset is not None:
                yield f"{owner.__name__}.{name}.{name}"
        elif callable(getattr(kind, name)):
            yield from _arguments_of(f"{owner.__name__}.{name}", getattr(kind, name))


def _arguments_of(what, call):
    if dataclasses.is_dataclass(call) and "first" not in inspect.signature(call).parameters:
        yield from (f"{what}.{field.name}" for field in dataclasses.fields(call) if field.init)
        return
    for parameter in inspect.signature(call).parameters.values():
        if parameter.name.startswith("_") or parameter.name == "self":
            continue
        if parameter.kind is parameter.VAR_KEYWORD and typing.get_origin(parameter.annotation) is typing.Unpack:
            yield from (f"{what}.{name}" for name in typing.get_args(parameter.annotation)[0].__annotations__)
        elif parameter.kind is parameter.VAR_KEYWORD and what in MEANT:
            yield from (f"{what}.{name}" for name in MEANT[what])
        else:
            yield f"{what}.{parameter.name}"


_OF_A_LANE = [field.name for field in dataclasses.fields(workerpool.Lane) if field.name != "name"]
_OF_A_REQUEST = [
    name
    for name in inspect.signature(workerpool.WorkerPool.request).parameters
    if name not in ("self", "url", "options")
]
# The keywords that stand behind options without a type.
MEANT = {
    "configure": ["workers", "lanes", "slow_callback", *_OF_A_LANE],
    "Client.request": [],
    "Client.stream": _OF_A_REQUEST,
    "Client.submit": [*_OF_A_REQUEST, "stream"],
}
