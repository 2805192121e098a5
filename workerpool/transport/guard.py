"""The guard of a lane with address rules: it judges where each new connection is to lead, and where it has led.

A connection that is kept was judged when it was made, for the same scheme, host and port, and is no other lane's.
"""

import socket
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, NoReturn

import aiohttp

from ..addresses import AddressRules, AddressVerdict, literal_address
from ..errors import Facts, Forbidden, InvalidRequest
from ..lane import Lane
from ..redaction import redact
from .inside.contract import holds
from .memory import MemoryConnector

__all__ = ["guard"]

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_CURES = {
    "scheme": "add it there if that is meant",
    "port": "add it there if that is meant",
    "proxy": "leave the proxy out",
    "url": "give a URL such as https://host/path",
    "connector": "give the lane a TCPConnector, or no addresses=",
    "unix socket": "give the lane a TCPConnector, or no addresses=",
}
_CURE = "if that is meant, give its network to the lane as addresses=AddressRules(allow=...)"
# Of the connection that is being made: the tasks that race for it share the list.
_sockets: ContextVar["list[socket.socket] | None"] = ContextVar("workerpool_judged_sockets", default=None)


def guard(connector: aiohttp.BaseConnector, lane: Lane) -> None:
    """Have each new connection of the connector judged by the lane's rules; raises InvalidRequest where that cannot be.

    Nothing is connected to before its addresses are judged, all that a name has; and before a byte is sent the
    address that was reached is judged once more, whoever has made the socket.
    """
    assert lane.addresses is not None
    if "_create_connection" in vars(connector) or connector._conns:
        text = "connector() must return a new one for each lane and worker: the rules count for its connections"
        raise InvalidRequest(f"lane {lane.name!r}: {text}", lane=lane.name)
    if isinstance(connector, aiohttp.TCPConnector):
        if not holds("guard"):
            text = "addresses= cannot be kept with this release of aiohttp, whose connector has changed"
            raise InvalidRequest(f"lane {lane.name!r}: {text}", lane=lane.name)
        _judge_addresses(connector, lane.addresses, lane.name)
    _judge_requests(connector, lane.addresses, lane.name)


def _judge_requests(connector: aiohttp.BaseConnector, rules: AddressRules, lane: str) -> None:
    """Judge what is known before anything is looked up: the URL, and the way there."""
    create = connector._create_connection
    refusal = _of_a_kind(connector)

    async def create_judged(req: Any, traces: Any, timeout: Any) -> Any:
        if refusal is not None:
            _refuse(refusal, req, lane)
        if req.proxy is not None:
            _refuse(_PROXY, req, lane)
        if (verdict := rules.explain(req.url)).allowed is False:
            _refuse(verdict, req, lane)
        return await create(req, traces, timeout)

    connector._create_connection = create_judged  # type: ignore[method-assign]


def _judge_addresses(connector: aiohttp.TCPConnector, rules: AddressRules, lane: str) -> None:
    """Judge the addresses of a connection: before it is made, and of each socket that was reached."""
    make, create = connector._socket_factory or _make_socket, connector._wrap_create_connection

    def make_noting(address: Any) -> socket.socket:
        made = make(address)
        if (sockets := _sockets.get()) is not None:
            sockets.append(made)
        return made

    async def create_judged(factory: Any, *args: Any, addr_infos: Any, req: Any, **options: Any) -> Any:
        for each in addr_infos:
            if not (verdict := _judged(rules, each[0], each[4])):
                _refuse(verdict, req, lane)
        sockets: list[socket.socket] = []
        _sockets.set(sockets)

        def factory_judged() -> Any:
            """Judge once TCP is there: the protocol is made before a byte is sent, of TLS or of HTTP."""
            verdict = _of_reached(rules, sockets)
            if not verdict:
                for each in sockets:
                    each.close()
                _refuse(verdict, req, lane)
            return factory()

        try:
            return await create(factory_judged, *args, addr_infos=addr_infos, req=req, **options)
        finally:
            _sockets.set(None)

    async def refuse(req: Any, traces: Any, timeout: Any) -> Any:
        _refuse(_PROXY, req, lane)

    connector._socket_factory = make_noting
    connector._wrap_create_connection = create_judged  # type: ignore[method-assign,assignment]
    connector._create_proxy_connection = refuse  # type: ignore[method-assign]


def _of_reached(rules: AddressRules, sockets: Iterable[socket.socket]) -> AddressVerdict:
    """Return what the rules say of the address that was reached; of none that is known, no."""
    verdict = AddressVerdict(False, "connector", text="it makes its connections by itself, so that no address is seen")
    for each in sockets:
        try:
            reached = each.getpeername()
        except OSError:  # it has lost the race, or was refused
            continue
        if not (verdict := _judged(rules, each.family, reached)):
            break
    return verdict


def _judged(rules: AddressRules, family: int, place: Any) -> AddressVerdict:
    if family not in _INTERNET:
        return AddressVerdict(False, "unix socket", text="it has no address")
    address = literal_address(str(place[0]))
    if address is None:
        return AddressVerdict(False, "connector", text="what it connects to is no address")
    return rules.explain(address)


def _of_a_kind(connector: aiohttp.BaseConnector) -> AddressVerdict | None:
    """Return why no connection of the connector is allowed; one in memory leads nowhere."""
    if isinstance(connector, aiohttp.TCPConnector | MemoryConnector):
        return None
    rule = "unix socket" if isinstance(connector, aiohttp.UnixConnector) else "connector"
    return AddressVerdict(False, rule, text=f"a {type(connector).__name__} connects to no address")


_PROXY = AddressVerdict(False, "proxy", text="behind a proxy nobody sees which address is reached")


def _refuse(verdict: AddressVerdict, req: Any, lane: str) -> NoReturn:
    facts = Facts(redact(req.url), req.method, lane=lane)
    what = verdict.address or "it"
    text = f"the address rules of lane {lane!r} forbid {what} by rule '{verdict.rule}': {verdict.text}"
    text = f"{text}; {_CURES.get(verdict.rule) or _cure(verdict)}"
    raise Forbidden.by(verdict.rule, facts, text, address=verdict.address, stage="connect")


def _cure(verdict: AddressVerdict) -> str:
    return "take the network out of deny= if that is meant" if verdict.rule.startswith("deny ") else _CURE


def _make_socket(address: Any) -> socket.socket:
    family, kind, protocol, *_rest = address
    return socket.socket(family=family, type=kind, proto=protocol)
