"""Certificates and proxies that requests gives per request, and the pool per lane: a lane for each of them."""

import ssl
from collections.abc import Callable, Mapping
from threading import Lock
from types import SimpleNamespace
from typing import Any, NamedTuple
from warnings import warn
from weakref import WeakKeyDictionary

from requests import exceptions as theirs
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import create_urllib3_context, parse_url

from ...pool import WorkerPool
from ...views import LaneView, PoolSession

__all__ = ["Lanes"]

_UNVERIFIED = "Unverified HTTPS request. Adding certificate verification is strongly advised"

_Client = LaneView | WorkerPool
_Verify = Callable[[Any, str, Any, Any], None]


class _Config(NamedTuple):
    """What sets a lane apart from the one that it is like."""

    lane: str
    tls: "tuple[str | None, ...] | None"  # as HTTPAdapter.cert_verify sets them; None: the lane's own
    proxy: str | None


class Lanes:
    """Open a lane for each combination of certificates and proxy, at its first use. Thread-safe."""

    def __init__(self, cert_verify: _Verify) -> None:
        self._cert_verify = cert_verify
        self._lock = Lock()
        self._open: WeakKeyDictionary[WorkerPool, dict[_Config, PoolSession]] = WeakKeyDictionary()

    def open(
        self, client: _Client, url: str, verify: bool | str, cert: Any, proxies: Mapping[str, str] | None
    ) -> _Client:
        """Return what to send such a request with; raises requests' errors for what cannot be."""
        if not proxies and not cert and url.startswith("http:"):
            return client  # the usual case, at no cost
        config = _Config(client._lane.name, self._tls(client, url, verify, cert), _proxy(url, proxies))
        if config.tls is None and config.proxy is None:
            return client
        pool = client if isinstance(client, WorkerPool) else client._pool
        assert isinstance(pool, WorkerPool)
        with self._lock:
            lanes = self._open.setdefault(pool, {})
            found = lanes.get(config)
            if found is None:
                found = lanes[config] = pool._derive(client._lane, **_options(config))
        return found

    def close(self) -> None:
        """Close them all. Repeatable."""
        with self._lock:
            lanes = [lane for lanes in self._open.values() for lane in lanes.values()]
            self._open.clear()
        for lane in lanes:
            lane.close()

    def _tls(self, client: _Client, url: str, verify: bool | str, cert: Any) -> "tuple[str | None, ...] | None":
        facts = SimpleNamespace(cert_reqs=None, ca_certs=None, ca_cert_dir=None, cert_file=None, key_file=None)
        self._cert_verify(facts, url, verify, cert)  # raises OSError for files that are not there
        if not verify and url.lower().startswith("https"):
            warn(_UNVERIFIED, InsecureRequestWarning, stacklevel=6)
        own = isinstance(client._lane.ssl, ssl.SSLContext) and verify is True and not cert
        return None if own or not url.lower().startswith("https") else tuple(vars(facts).values())


def _options(config: _Config) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if config.tls is not None:
        options["ssl"] = _context(*config.tls)
    if config.proxy is not None:
        options |= {"proxy": config.proxy, "trust_env": False}
    return options


def _context(
    cert_reqs: str | None, ca_certs: str | None, ca_cert_dir: str | None, cert_file: str | None, key_file: str | None
) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_NONE if cert_reqs == "CERT_NONE" else ssl.CERT_REQUIRED)
    context.check_hostname = cert_reqs != "CERT_NONE"
    if ca_certs or ca_cert_dir:
        context.load_verify_locations(ca_certs, ca_cert_dir)
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def _proxy(url: str, proxies: Mapping[str, str] | None) -> str | None:
    chosen = select_proxy(url, proxies)
    if not chosen:
        return None
    proxy: str = prepend_scheme_if_needed(chosen, "http")  # type: ignore[no-untyped-call]
    if not parse_url(proxy).host:
        raise theirs.InvalidProxyURL("Please check proxy URL. It is malformed and could be missing the host.")
    return proxy
