"""What a lane that trusts it takes from the environment: proxies, and logins of a netrc file."""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from netrc import NetrcParseError, netrc
from typing import NamedTuple
from urllib.request import getproxies

from yarl import URL

from ..errors import InvalidRequest
from ..lane import Lane
from ..messages.headers import authorization
from ..messages.url import parse_url

__all__ = ["NO_ENVIRONMENT", "Environment", "is_socks", "proxy_for", "read_environment"]

log: logging.Logger = logging.getLogger("workerpool.environment")

_HTTP = {"ws": "http", "wss": "https"}
_SCHEMES: tuple[str, ...] = ("http", "https", "all")
_DEFAULT = "default"  # a netrc file's entry for all other hosts


class Exempt(NamedTuple):
    """One entry of NO_PROXY: a domain with all below it, or addresses; of one port, or all."""

    domain: str
    port: int | None = None
    network: IPv4Network | IPv6Network | None = None

    def covers(self, host: str, address: IPv4Address | IPv6Address | None, port: int | None) -> bool:
        """Whether the place is to be reached without a proxy; `address` is the host, if it is given as one."""
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address in self.network
        if self.domain == "*":
            return True
        return address is None and (host == self.domain or host.endswith(f".{self.domain}"))


@dataclass(frozen=True, slots=True)
class Environment:
    """What was found when the lane was opened: proxies by scheme ("all" for the rest), exemptions, logins by host."""

    proxies: Mapping[str, URL] = field(default_factory=dict, repr=False)
    exempt: tuple[Exempt, ...] = ()
    logins: Mapping[str, str] = field(default_factory=dict, repr=False)

    def login_for(self, url: URL, *, asked_for: bool = True) -> str | None:
        """Return the Authorization that a netrc file has for the URL's host.

        Its entry for all other hosts is for those that were asked for: not for one that a server has chosen.
        """
        return self.logins.get(url.host or "") or (self.logins.get(_DEFAULT) if asked_for else None)


NO_ENVIRONMENT = Environment()


def proxy_for(url: URL, environment: Environment) -> URL | None:
    """Return the proxy that the environment names for the URL, None if it is to be reached directly."""
    proxies = environment.proxies
    if not proxies:
        return None
    proxy = proxies.get(_HTTP.get(url.scheme, url.scheme)) or proxies.get("all")
    if proxy is None or not environment.exempt:
        return proxy
    host, port = (url.raw_host or "").rstrip("."), url.port
    address = _address(host)
    return None if any(exempt.covers(host, address, port) for exempt in environment.exempt) else proxy


def is_socks(proxy: URL) -> bool:
    """Whether connections are made through the proxy, and not requests."""
    return proxy.scheme.startswith("socks")


def read_environment(lane: Lane) -> Environment:
    """Read what the lane takes from it; raises InvalidRequest for what cannot be a proxy. A lane's own goes first."""
    if not lane.trust_env:
        return NO_ENVIRONMENT
    if lane.proxy is not None:
        return Environment(logins=_read_logins())
    found = getproxies()
    proxies = {name: _checked(f"{name.upper()}_PROXY", found[name], lane) for name in _SCHEMES if name in found}
    return Environment(proxies, tuple(_read_exempt(found.get("no", ""))), _read_logins())


def _checked(variable: str, text: str, lane: Lane) -> URL:
    text = text.strip()
    url = text if "://" in text else f"http://{text}"
    try:
        Lane(variable, proxy=url)
        return parse_url(url)
    except InvalidRequest as exc:
        reason = str(exc).partition(": ")[2]
    if url.lower().startswith("socks:"):  # as desktops set it
        reason = "say which SOCKS it is, such as socks5h://host:1080"
    raise InvalidRequest(f"lane {lane.name!r}: {variable} is not a URL of a proxy: {reason}", lane=lane.name)


def _read_exempt(text: str) -> Iterable[Exempt]:
    """Yield the entries that are understood; any other exempts nothing."""
    for entry in re.split(r"[\s,]+", text.lower()):
        if network := _network(entry):
            yield Exempt("", None, network)
            continue
        host, _, port = entry.rpartition(":")
        number = int(port) if host and port.isascii() and port.isdecimal() else None
        host = entry if number is None else host
        if network := _network(host):
            yield Exempt("", number, network)
        elif domain := _domain(host):
            yield Exempt(domain, number)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(re.sub(r"^\[(.*)\](?=$|/)", r"\1", text), strict=False)
    except ValueError:
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _domain(text: str) -> str:
    """Return the domain as hosts are written in URLs, "*" for any, and nothing for what is none."""
    if text == "*":
        return text
    text = text.removeprefix("*").strip(".")
    try:
        return URL.build(scheme="http", host=text).raw_host or "" if text and "*" not in text else ""
    except ValueError:
        return ""


def _read_logins() -> Mapping[str, str]:
    """Return the Authorization for each host of the netrc file, as requests finds it: $NETRC, ~/.netrc, ~/_netrc."""
    given = os.environ.get("NETRC")
    for path in map(os.path.expanduser, (given,) if given else ("~/.netrc", "~/_netrc")):
        if os.path.exists(path):
            return _logins_of(path)
    return {}


def _logins_of(path: str) -> Mapping[str, str]:
    try:
        hosts = netrc(path).hosts
    except (NetrcParseError, OSError, ValueError) as exc:
        # The error's own text may tell what is in the file.
        log.warning("%s cannot be read (%s) and counts for nothing", path, type(exc).__name__)
        return {}
    found = {}
    for host, (login, account, password) in hosts.items():
        try:
            found[host] = authorization((login or account or "", password or ""))
        except ValueError:
            log.warning("%s: the login for %s cannot be sent as Basic auth", path, host)
    return found
