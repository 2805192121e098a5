"""What strikes a worker's thread between two owners of a connection: it is closed all the same, and the pool goes on."""

import dis
import functools
import gc
import importlib.util
import logging
import sys
import types

import pytest

from workerpool import WorkerLost, WorkerPool

PATIENCE = 60
_PARTS = 4  # of the points, a test for each: all of them would take long on a busy machine
FILES = ("connector.py", "client_proto.py", "base_protocol.py", "answer.py", "connection.py", "fast_path.py", "protocol.py",
         "direct.py")  # fmt: skip
# Where aiohttp makes a Connection, or the system a socket, that nobody can know of yet: Python drops it there itself.
UNKNOWN = {("__init__", "connector.py"), ("_make_socket", "connection.py"), ("make_noting", "connection.py")}


@functools.cache
def points_of(code):
    """Return the offsets at which CPython looks for what was set from another thread: behind calls, at a beginning."""
    found, is_next, is_making = set(), False, False
    for step in dis.get_instructions(code):
        if is_next and step.opname not in ("GET_AWAITABLE", "SETUP_WITH"):  # a coroutine is made without a look
            found.add(step.offset)
        if step.opname.startswith("LOAD_GLOBAL"):
            is_making = step.argval == "Connection"
        is_call = step.opname.startswith("CALL") and "INTRINSIC" not in step.opname
        is_next = step.opname == "RESUME" or (is_call and not is_making)
    return found


class Striker:
    """Raise an error at the n-th point on a worker's thread."""

    def __init__(self, error, number):
        self.error, self.number, self.where = error, number, None
        # What strikes has no frame of its own; this one passes for the libraries'.
        self._strike = types.FunctionType(
            Striker._look.__code__, {"sys": sys, "points_of": points_of, "__name__": "asyncio"}
        )

    def trace(self, frame, _event, _arg):
        code = frame.f_code
        folder, _, file = code.co_filename.replace("\\", "/").rpartition("/")
        is_known = (code.co_name, file) not in UNKNOWN and code.co_name != "__del__"
        if file not in FILES or not folder.endswith(("aiohttp", "transport", "inside")) or not is_known:
            return None
        frame.f_trace = functools.partial(self._strike, self)  # before it is asked for each step: 3.14 looks at it then
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return frame.f_trace

    def _look(self, frame, event, _arg):
        if event == "opcode" and self.where is None and frame.f_lasti in points_of(frame.f_code):
            self.number -= 1
            if not self.number:
                self.where = f"{frame.f_code.co_qualname}, line {frame.f_lineno}, {frame.f_lasti}"
                sys.settrace(None)
                raise self.error
        return self.trace(frame, event, None)


async def arm(_session, striker):
    sys.settrace(striker.trace)  # at once: the request may begin in this very turn


async def disarm(_session):
    sys.settrace(None)


def outcomes_of(site, loop, striker, *, kept):
    """Let it strike while a request is made; return its outcome and that of what follows."""
    with WorkerPool(workers=1, connections=1, event_loop=loop, retry=None) as pool:
        if kept:
            assert pool.get(site.url_for("/fast/0")).ok
        pool.submit(arm, striker).result(PATIENCE)
        struck = pool.submit(site.url_for("/fast/1")).exception(PATIENCE)
        pool.submit(disarm).exception(PATIENCE)
        following = pool.submit(site.url_for("/fast/2")).exception(PATIENCE)  # in the only place
        assert "done" == pool.submit(nothing).result(PATIENCE)
    return struck, following


async def nothing(_session):
    return "done"


def is_told(outcome, error):
    return isinstance(outcome, WorkerLost | error | None) or isinstance(outcome.__cause__, error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loop", "error"),
    [("asyncio", ValueError), ("uvloop", ValueError), ("uvloop", MemoryError), ("uvloop", SystemExit)],
)
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("part", range(_PARTS))
def test_whatever_strikes_between_two_owners_leaves_no_connection(shared_site, monkeypatch, error, loop, kept, part):
    """At each point of the way from the connector to the answer and back, on a connection that is kept and on a new one."""
    if loop == "uvloop" and not importlib.util.find_spec("uvloop"):
        pytest.skip("uvloop is not installed")
    logging.disable()  # what is logged keeps tracebacks, and with them what is to be collected
    left, faults, number = [], [], part + 1 - _PARTS
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left.append(str(told.exc_value)))  # a warning is one
    striker = None
    gc.collect()
    gc.freeze()  # what was there before is not looked at each time
    try:
        while striker is None or striker.where is not None:
            number += _PARTS
            striker = Striker(error, number)
            strange = [
                repr(outcome)
                for outcome in outcomes_of(shared_site, loop, striker, kept=kept)
                if not is_told(outcome, error)
            ]
            gc.collect()
            left[:] = [each for each in left if "never awaited" not in each]  # CPython makes coroutines without a look
            if left or strange:
                faults.append((striker.where, *strange, *left))
                left.clear()
    finally:
        gc.unfreeze()
        logging.disable(logging.NOTSET)
    assert [] == faults
    assert number > 40
