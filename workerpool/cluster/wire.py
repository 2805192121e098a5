"""What travels between the client and a worker, as bytes: parcels of work one way, outcomes the other.

The way to a worker is pickle's: whoever can reach a Dask worker has it run anything. Of what comes back only plain
values, types of ours and exceptions are unpickled; nothing else is imported or called.
"""

import io
import pickle
import sys
from collections.abc import Iterable
from copy import copy
from itertools import pairwise
from typing import Any, TypeAlias

import cloudpickle
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ..handover.errand import Call, Errand, Fetch
from ..messages.hop import Hop, Onward
from ..messages.receipt import BodyStore, PlainReceipt
from ..messages.request import Request
from ..messages.response import Response
from .errors import NotOnCluster, NotPicklable, RemoteError
from .store import StoredResponse

__all__ = [
    "Packed",
    "as_answer",
    "as_error",
    "as_onward",
    "errors_of",
    "loads",
    "onward_of",
    "opened",
    "pack",
    "packed",
    "pickled",
    "plain_answer",
    "plain_onward",
    "unpacked",
]

Packed: TypeAlias = str | bytes  # the URL of a plain GET, or a pickle
_DEPTH = 8  # causes of an error that are told
_BUILTINS = frozenset({"set", "frozenset", "bytearray", "complex", "range", "slice"})
_ADMITTED = {
    ("multidict", "CIMultiDict"), ("multidict", "CIMultiDictProxy"), ("multidict", "MultiDict"),
    ("multidict._multidict", "CIMultiDict"), ("multidict._multidict", "MultiDict"), ("multidict._multidict", "istr"),
    ("multidict", "istr"), ("yarl", "URL"), ("yarl._url", "URL"),
    ("datetime", "date"), ("datetime", "datetime"), ("datetime", "time"), ("datetime", "timedelta"),
    ("datetime", "timezone"), ("decimal", "Decimal"), ("uuid", "UUID"), ("fractions", "Fraction"),
    ("collections", "OrderedDict"), ("collections", "deque"), ("collections", "Counter"),
    ("workerpool.messages.response", "Response"), ("workerpool.messages.response", "Seconds"),
    ("workerpool.messages.request", "Request"), ("workerpool.messages.result", "Result"),
    ("workerpool.settings", "Timeout"), ("workerpool.settings", "Retry"), ("workerpool.settings", "Rate"),
}  # fmt: skip
# Where exceptions may come from; classes of theirs that are none are not admitted.
_RAISING = frozenset({
    "builtins", "asyncio.exceptions", "concurrent.futures._base", "json.decoder", "socket", "ssl", "struct", "zlib",
    "aiohttp.client_exceptions", "aiohttp.http_exceptions", "decimal", "workerpool.errors", "workerpool.cluster.errors",
    "workerpool.messages.response",
})  # fmt: skip


class _Reader(pickle.Unpickler):
    """Admit plain values, types of ours, and exceptions."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ADMITTED or (module == "builtins" and name in _BUILTINS):
            return super().find_class(module, name)
        if module in _RAISING and "." not in name and module in sys.modules:
            found = getattr(sys.modules[module], name, None)
            if isinstance(found, type) and issubclass(found, BaseException):
                return found
        raise NotPicklable(
            f"a {name} of {module} is not unpickled from a worker; return plain values, such as dicts, lists and bytes"
        )


class _Writer(pickle.Pickler):
    """Pickle exceptions as they say themselves: distributed has tblib do it, by functions that nobody admits here."""

    def reducer_override(self, obj: Any) -> Any:
        return obj.__reduce_ex__(5) if isinstance(obj, BaseException) else NotImplemented


def loads(data: bytes) -> Any:
    """Return what a worker has pickled; raises NotPicklable for what is not admitted."""
    return _Reader(io.BytesIO(data)).load()


def pack(value: object) -> bytes:
    """Return plain values as bytes."""
    buffer = io.BytesIO()
    _Writer(buffer, protocol=5).dump(value)
    return buffer.getvalue()


def packed(errand: Errand) -> Packed:
    """Return an errand as it travels; raises NotPicklable or NotOnCluster, which name the thing and the cure."""
    if type(errand) is Fetch:
        return _packed_request(errand.request)
    if isinstance(errand, Call):
        return pickled((errand.fn, errand.args, errand.kwargs), f"the function {errand.method}")
    raise NotOnCluster(
        f"{errand.method} {errand.url}: streams and WebSockets need their socket in this process; use a WorkerPool,"
        " or submit an async function that reads it on the worker"
    )


def opened(data: bytes) -> Any:
    """Return what the client has pickled. On a worker."""
    return pickle.loads(data)


def unpacked(what: Packed) -> Request | tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the request, or the function with its arguments. On a worker."""
    return Request(what) if isinstance(what, str) else pickle.loads(what)


def _packed_request(request: Request) -> Packed:
    if request.method == "GET" and vars(request).keys() <= _PLAIN:
        return request.url
    if not request.replayable:
        raise NotPicklable(
            f"{request!r}: a body that is a file or an iterator cannot travel to another process;"
            " read it: data=file.read()"
        )
    lone = copy(request)
    object.__setattr__(lone, "meta", None)  # it stays with the client
    return pickled(lone, repr(request))


_PLAIN = frozenset({"method", "url", "target", "meta"})


def pickled(value: object, what: str) -> bytes:
    """Return a value as it travels to a worker; raises NotPicklable, which names the part."""
    try:
        return cloudpickle.dumps(value, protocol=5)  # type: ignore[no-any-return]
    except Exception as exc:
        raise NotPicklable(
            f"{what} cannot travel to another process: {_named(value, exc)}; make such things on the worker, in the"
            " function itself, or give it plain values"
        ) from exc


def _named(value: object, exc: Exception) -> str:
    """Say which part it is that cannot be pickled, as far as a closure or the arguments tell."""
    if isinstance(value, tuple) and len(value) == 3 and callable(value[0]):
        fn, args, kwargs = value
        inner = (
            dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False)) if hasattr(fn, "__code__") else {}
        )
        parts = {f"{name!r} of its closure": cell.cell_contents for name, cell in inner.items()}
        parts |= {f"argument {place}": each for place, each in enumerate(args)}
        parts |= {f"argument {name!r}": each for name, each in kwargs.items()}
        for name, part in parts.items():
            if not _can_bepickled(part):
                return f"{name}, a {type(part).__name__}, cannot be pickled"
    return str(exc)


def _can_bepickled(value: object) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001  whatever it raises, it cannot
        return False
    return True


Plain: TypeAlias = tuple[Any, ...]


def plain_answer(answer: Response, receipt: PlainReceipt | None = None) -> Plain:
    """Return an answer as plain values; with a receipt that goes in place of the body."""
    body = answer.content if receipt is None else tuple(receipt)
    return (
        answer.status_code, answer.reason, tuple(answer.headers.items()), body, answer.url,
        answer.http_version, float(answer.elapsed), answer.attempts,
        tuple(plain_answer(each) for each in answer.history),
    )  # fmt: skip


def as_answer(
    plain: Plain, request: Request, lane: str, waited: float = 0.0, lost: int = 0, store: BodyStore | None = None
) -> Response:
    """Return the answer that plain values are of; it waited so long here, and was asked for before so often."""
    status, reason, headers, body, url, version, elapsed, attempts, history = plain
    content = body if type(body) is bytes else b""
    facts = (
        request, url, status, reason, CIMultiDictProxy(CIMultiDict(headers)), content, version, waited + elapsed,
        attempts + lost, tuple(as_answer(each, request, lane) for each in history) if history else (), lane,
    )  # fmt: skip
    if type(body) is tuple and store is not None:
        return StoredResponse(store, body, *facts)
    return Response(*facts)


def plain_onward(onward: Onward) -> Plain:
    """Return where a redirect leads as plain values."""
    hop = onward.hop
    headers = tuple((str(name), value) for name, value in hop.headers.items())
    body = hop.body if isinstance(hop.body, bytes) else None
    return hop.method, str(hop.url), headers, body, tuple(plain_answer(each) for each in onward.history)


def as_onward(plain: Plain, request: Request, lane: str) -> Onward:
    """Return where a redirect leads."""
    method, url, headers, body, history = plain
    hop = Hop(method, URL(url, encoded=True), CIMultiDict(headers), body)
    return Onward(hop, tuple(as_answer(each, request, lane) for each in history))


def onward_of(plain: Plain) -> URL:
    """Return the URL that a redirect leads to."""
    return URL(plain[1], encoded=True)


def errors_of(error: BaseException) -> list[tuple[str, str, bytes]]:
    """Return an error and its causes: of each its class, what it says, and a pickle, empty where there is none."""
    found: list[tuple[str, str, bytes]] = []
    each: BaseException | None = error
    while each is not None and len(found) < _DEPTH:
        found.append((f"{type(each).__module__}.{type(each).__qualname__}", _said(each), _or_empty(each)))
        each = each.__cause__
    return found


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  code of the user's
        return ""


def _or_empty(error: BaseException) -> bytes:
    try:
        return pack(error)
    except Exception:  # noqa: BLE001  it is told by its name then
        return b""


def as_error(plain: Iterable[tuple[str, str, bytes]]) -> BaseException:
    """Return the error, its causes chained."""
    errors = [_error(*each) for each in plain]
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    return errors[0]


def _error(kind: str, text: str, data: bytes) -> BaseException:
    try:
        found = loads(data)
        if isinstance(found, BaseException):
            return found
    except Exception:  # noqa: BLE001  what cannot be read, or must not be, is told by its name
        pass
    error = RemoteError(f"{kind} on a worker: {text}")
    error.kind = kind
    return error
