"""Certificates and proxies that requests gives per request, and the pool per lane: a lane for each of them.

The lanes belong to the pool: all adapters on it share them, so that a session that is closed takes nothing from
another, and the next one finds the connections open. A lane that nobody has used for a while is given up, and beyond
`_IDLE` of them the one that was used longest ago; a lane with work under way never is.
"""

import os
import ssl
from collections.abc import Callable, Mapping
from operator import itemgetter
from threading import RLock
from time import monotonic
from types import SimpleNamespace
from typing import Any, NamedTuple
from warnings import warn
from weakref import WeakKeyDictionary, WeakValueDictionary

from requests import exceptions as theirs
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3 import exceptions as inner
from urllib3.util import create_urllib3_context, parse_url

from ...caller.client import board_of
from ...caller.pool import WorkerPool
from ...caller.routing import Route
from ...caller.session import LaneView, PoolSession
from ...lane import Lane, LaneOptions

__all__ = ["Config", "Used", "checked_proxy", "release", "tls_facts", "use"]

_UNVERIFIED = "Unverified HTTPS request. Adding certificate verification is strongly advised"
_IDLE = 32  # lanes kept open though nobody uses them; a guess: more proxies than most programs rotate through
_AGE = 300.0  # seconds that such a lane is kept

Tls = tuple[Any, ...]
_Verify = Callable[[Any, str, Any, Any], None]


class Config(NamedTuple):
    """What sets a lane apart from the one that it is like."""

    tls: "Tls | ssl.SSLContext | None" = None  # as HTTPAdapter.cert_verify sets them; None: the lane's own
    proxy: str | None = None
    connections: int | None = None  # None: as many as the lane's
    per_host: int | None = None


class Used:
    """A lane that is shared: in use from when somebody takes it until it is released and its work is done."""

    __slots__ = ("route", "since", "users")

    def __init__(self, route: Route) -> None:
        self.route: Route = route  # and not its view: that would keep the pool alive for as long as the table does
        self.users: int = 1  # who are about to send; this and the next under the lock
        self.since: float = monotonic()

    @property
    def idle(self) -> bool:
        """Whether nobody is about to send by it and nothing is under way."""
        return not self.users and self.route.is_idle


_Key = tuple[str, Config]

# Re-entrant, as a signal handler may send a request, too; nothing is opened, closed or read while it is held.
_lock = RLock()
_making = RLock()  # held while certificates are read, so that it is done once
_tables: "WeakKeyDictionary[WorkerPool, dict[_Key, Used]]" = WeakKeyDictionary()
_swept = 0.0
_contexts: "WeakValueDictionary[Tls, ssl.SSLContext]" = WeakValueDictionary()


def use(pool: WorkerPool, lane: Lane, config: Config) -> tuple[LaneView, Used]:
    """Return the lane like the pool's lane but for what the config says, and what to release. Thread-safe.

    It is opened at first use. Raises OSError for certificates that cannot be read.
    """
    key = (lane.name, config)
    used = _taken(pool, key)
    if used is None:
        with _making:
            used = _taken(pool, key) or _opened(pool, lane, key)
        _sweep()
    return LaneView(board_of(pool), used.route), used


def release(used: Used) -> None:
    """Say that what was to be sent has been handed over, or is done. Thread-safe."""
    with _lock:
        used.users -= 1
        used.since = now = monotonic()
        due = now - _swept > _AGE
    if due:
        _sweep()


def _taken(pool: WorkerPool, key: _Key) -> Used | None:
    with _lock:
        used = _tables.get(pool, {}).get(key)
        if used is not None:
            used.users += 1
        return used


def _opened(pool: WorkerPool, lane: Lane, key: _Key) -> Used:
    used = Used(pool.like(lane.name, **_options(key[1], lane)).route)
    with _lock:
        _tables.setdefault(pool, {})[key] = used
    return used


def _sweep() -> None:
    """Close what nobody has used for a while, and what is too much."""
    global _swept
    with _lock:
        _swept = monotonic()
        unwanted = [(pool, used) for pool, table in list(_tables.items()) for used in _unwanted(table)]
    for pool, used in unwanted:
        _close(pool, used)


def _unwanted(table: dict[_Key, Used]) -> list[Used]:
    """Take out what is to be closed. Under the lock; what is out of the table nobody can take any more."""
    idle = sorted(((used.since, key) for key, used in table.items() if used.idle), key=itemgetter(0))
    surplus, old = len(idle) - _IDLE, monotonic() - _AGE
    return [table.pop(key) for index, (since, key) in enumerate(idle) if index < surplus or since < old]


def _close(pool: WorkerPool, used: Used) -> None:
    """Close a lane without waiting for workers that may be busy."""
    PoolSession(board_of(pool), used.route).close(wait=False)


def _forget_in_child() -> None:
    """Start empty after a fork: another thread may have held a lock, and the lanes' threads stayed behind."""
    global _lock, _making
    _lock, _making = RLock(), RLock()
    _tables.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _options(config: Config, lane: Lane) -> LaneOptions:
    options: LaneOptions = {}
    if config.tls is not None:
        options["ssl"] = config.tls if isinstance(config.tls, ssl.SSLContext) else _context(config.tls)
    if config.proxy is not None:
        options |= {"proxy": config.proxy, "trust_env": False}
    if config.connections is not None and lane.connections:
        options["connections"] = max(config.connections, lane.connections)
    if config.per_host is not None:
        options["per_host"] = config.per_host
    return options


def tls_facts(cert_verify: _Verify, lane: object, url: str, verify: bool | str, cert: Any) -> Tls | None:
    """Return what HTTPAdapter.cert_verify says of certificates, and which files those are; None for the lane's own.

    Raises OSError for files that are not there, TypeError for what names none.
    """
    if cert and not isinstance(cert, str | bytes) and not (isinstance(cert, tuple | list) and len(cert) == 2):
        raise TypeError(f"cert must be a path, or a pair of paths (certificate, key), not {type(cert).__name__}")
    facts = SimpleNamespace(cert_reqs=None, ca_certs=None, ca_cert_dir=None, cert_file=None, key_file=None)
    cert_verify(facts, url, verify, cert)
    if not url.lower().startswith("https"):
        return None
    if not verify:
        warn(_UNVERIFIED, inner.InsecureRequestWarning, stacklevel=7)
    if isinstance(lane, ssl.SSLContext) and verify is True and not cert:
        return None
    named = tuple(vars(facts).values())
    return (*named, *(_state(path) for path in (facts.ca_certs, facts.cert_file, facts.key_file)))


def _state(path: str | None) -> tuple[int, int, int] | None:
    """Return what changes when a file is written anew, or put in the place of another: certificates are renewed."""
    if path is None:
        return None
    state = os.stat(path)
    return state.st_ino, state.st_size, state.st_mtime_ns


def _context(tls: Tls) -> ssl.SSLContext:
    found = _contexts.get(tls)
    if found is None:
        try:
            found = _contexts[tls] = _made_context(*tls[:5])
        except ssl.SSLError as exc:  # what is in the files is no certificate, or no key for it
            raise theirs.SSLError(inner.SSLError(exc)) from exc
    return found


def _made_context(
    cert_reqs: str | None, ca_certs: str | None, ca_cert_dir: str | None, cert_file: str | None, key_file: str | None
) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_NONE if cert_reqs == "CERT_NONE" else ssl.CERT_REQUIRED)
    context.check_hostname = cert_reqs != "CERT_NONE"
    if ca_certs or ca_cert_dir:
        context.load_verify_locations(ca_certs, ca_cert_dir)
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def checked_proxy(url: str, proxies: Mapping[str, str] | None) -> str | None:
    """Return the proxy that requests would choose; raises InvalidProxyURL."""
    chosen = select_proxy(url, proxies)
    if not chosen:
        return None
    try:
        proxy: str = prepend_scheme_if_needed(chosen, "http")  # type: ignore[no-untyped-call]
        host = parse_url(proxy).host
    except inner.LocationValueError as exc:
        raise theirs.InvalidURL(exc) from exc
    if not host:
        raise theirs.InvalidProxyURL("Please check proxy URL. It is malformed and could be missing the host.")
    return proxy
