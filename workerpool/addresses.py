"""Address rules: which addresses the requests of a lane may reach. Pure: nothing is looked up here."""

import re
import socket
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

from yarl import URL

from .values import dataclass

__all__ = ["Address", "AddressRules", "AddressVerdict", "literal_address"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_SCHEMES = ("http", "https")
_FEW = 20  # ports that a message lists
_OF_A_SOCKET = {"ws": "http", "wss": "https"}  # what WebSockets are opened by
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")  # which IDNA takes for dots
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)

# The first network that holds an address names it. What is global by the registries of IANA is in none of them, but for
# what clouds have their metadata at.
_V4 = tuple(
    (IPv4Network(network), rule)
    for network, rule in (
        ("169.254.169.254/32", "metadata"),  # AWS, Azure, Google and most others
        ("169.254.170.2/32", "metadata"),  # tasks of AWS ECS
        ("169.254.170.23/32", "metadata"),  # pods of AWS EKS
        ("100.100.100.200/32", "metadata"),  # Alibaba
        ("168.63.129.16/32", "metadata"),  # Azure, and a global address
        ("192.0.0.192/32", "metadata"),  # Oracle
        ("0.0.0.0/8", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "carrier-grade nat"),
        ("169.254.0.0/16", "link-local"),
        ("192.0.2.0/24", "documentation"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("198.18.0.0/15", "benchmarking"),
        ("192.0.0.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),  # relays of 6to4
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6 = tuple(
    (IPv6Network(network), rule)
    for network, rule in (
        ("fd00:ec2::254/128", "metadata"),
        ("fd00:ec2::23/128", "metadata"),
        ("fd20:ce::254/128", "metadata"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "local nat64"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("fc00::/7", "unique-local"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/32", ""),  # Teredo, judged by what is embedded
        ("2001::/23", "reserved"),
        ("2000::/3", ""),  # all of the global unicast that was ever given out
        ("::/0", "reserved"),
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # whose prefix may be longer, and where the address is in it is not known
# Those that end in an address; the last two are compatible and translated ones (RFC 4291, 2.5.5.1, RFC 2765, 2.1).
_LAST_32 = (_MAPPED, _NAT64, _LOCAL_NAT64, IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))
_TRANSLATED = (_MAPPED, _NAT64)  # which lead to the embedded address, and to nothing else
_TEREDO = IPv6Network("2001::/32")
_6TO4 = IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)  # the 32 bits before the embedded address (RFC 5214, 6.1)


@dataclass(frozen=True, slots=True)
class AddressVerdict:
    """Tell what the rules say of an address, or of a URL: whether it is allowed, and by which rule.

    `allowed` is None of a URL whose host is a name: what that resolves to is judged when it is connected to.
    """

    allowed: bool | None
    rule: str
    address: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return self.allowed is True


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Say which addresses, schemes and ports the requests of a lane may reach: by itself, global addresses only.

    Nothing that is loopback, private, link-local, carrier-grade NAT, multicast, reserved, for documentation or
    benchmarks, or a cloud's metadata is reached, and no such IPv4 address that is embedded in an IPv6 one (mapped,
    NAT64, 6to4, Teredo, ISATAP, compatible). `allow` and `deny` are networks, such as "127.0.0.0/8"; `deny` goes
    before `allow`, and that before all else. `ports=None` are all ports. What cannot be judged is refused.
    """

    allow: Collection[Network | str] = ()
    deny: Collection[Network | str] = ()
    schemes: Collection[str] = _SCHEMES
    ports: Collection[int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "allow", _listed("allow", self.allow, _network, _A_NETWORK))
        object.__setattr__(self, "deny", _listed("deny", self.deny, _network, _A_NETWORK))
        schemes = _listed("schemes", self.schemes, _scheme, "'http' or 'https'")
        ports = None if self.ports is None else _listed("ports", self.ports, _port, "a number from 1 to 65535")
        if not schemes or ports == ():
            raise ValueError(f"{'schemes' if not schemes else 'ports'} must name one at least")
        object.__setattr__(self, "schemes", frozenset(schemes))
        object.__setattr__(self, "ports", None if ports is None else frozenset(ports))

    def explain(self, url_or_address: "str | URL | Address") -> AddressVerdict:
        """Return what the rules say of an address or a URL, and by which of them. Nothing is looked up."""
        given = url_or_address
        if isinstance(given, IPv4Address | IPv6Address):
            return self._judge(given)
        if not isinstance(given, str | URL):
            raise TypeError(f"url_or_address must be a str, a URL or an IP address, not {type(given).__name__}")
        if isinstance(given, str):
            if "//" not in given:
                return self._judge_host(given)
            try:
                given = URL(given)
            except (ValueError, IndexError, UnicodeError):
                return AddressVerdict(False, "url", text="it is no URL")
        return self._judge_url(given)

    def _judge_url(self, url: URL) -> AddressVerdict:
        """Return what the rules say of a URL: by scheme, port, and the host where that is an address."""
        scheme = _OF_A_SOCKET.get(url.scheme, url.scheme)
        if scheme not in self.schemes:
            return AddressVerdict(False, "scheme", text=f"its scheme is none of schemes={sorted(self.schemes)}")
        try:
            port = url.port
        except ValueError:
            port = None
        if self.ports is not None and port not in self.ports:
            return AddressVerdict(False, "port", text=f"its port is none of {_told(self.ports)}")
        return self._judge_host(url.raw_host or "")

    def _judge(self, address: Address) -> AddressVerdict:
        """Return what the rules say of an address: of itself, and of each one that is embedded."""
        if isinstance(address, IPv6Address):
            address = IPv6Address(int(address))  # without a zone, which says by which interface
        embedded = () if isinstance(address, IPv4Address) else tuple(_embedded(address))
        for part in (*embedded, address):
            if (found := _holding(self.deny, part)) is not None:
                return _refused(address, f"deny {found}", part, "in deny=")
        allowed_by = None
        for part in embedded if _only_stands_for_another(address) else (*embedded, address):
            if (found := _holding(self.allow, part)) is not None:
                allowed_by = found
            elif rule := _special(part):
                return _refused(address, rule, part, f"no global address: {rule}")
        return AddressVerdict(True, "global" if allowed_by is None else f"allow {allowed_by}", str(address))

    def _judge_host(self, host: str) -> AddressVerdict:
        if (address := literal_address(host)) is not None:
            return self._judge(address)
        if not host or ":" in host:
            return AddressVerdict(False, "url", text="it names no host")
        return AddressVerdict(None, "name", text="the addresses of the name are judged when it is connected to")


def literal_address(host: str) -> Address | None:
    """Return the address that a host is, however it is spelled; None for a name.

    Besides the usual forms there are those of `inet_aton`: decimal, octal, hexadecimal, of one to four parts.
    """
    host = unicodedata.normalize("NFKC", host[:256]).translate(_DOTS).strip().removeprefix("[").removesuffix("]")
    host = host.rstrip(".")
    try:
        # A zone says by which interface, and the address is the same.
        return ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        pass
    if _NUMBERS.fullmatch(host) is None:
        return None
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _told(ports: Collection[int]) -> str:
    return f"ports={sorted(ports)}" if len(ports) <= _FEW else f"the {len(ports)} ports that are allowed"


def _only_stands_for_another(address: Address) -> bool:
    return any(address in network for network in _TRANSLATED)


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that are a part of an IPv6 one, each of which may be what is reached."""
    number = int(address)
    last = IPv4Address(number & 0xFFFFFFFF)
    if any(address in network for network in _LAST_32):
        if number > 1:  # else it is unspecified, or loopback
            yield last
    elif address in _6TO4:
        yield IPv4Address((number >> 80) & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address((number >> 64) & 0xFFFFFFFF)
        yield IPv4Address(int(last) ^ 0xFFFFFFFF)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        yield last


def _special(address: Address) -> str:
    """Return what makes the address none to be reached; empty for a global one."""
    table: tuple[tuple[Any, str], ...] = _V4 if isinstance(address, IPv4Address) else _V6
    return next((rule for network, rule in table if address in network), "")


def _holding(networks: Iterable[Any], address: Address) -> Network | None:
    return next((network for network in networks if address in network), None)


def _refused(address: Address, rule: str, part: Address, what: str) -> AddressVerdict:
    told = "it" if part == address else f"{part}, which is embedded in it,"
    return AddressVerdict(False, rule, str(address), f"{told} is {what}")


_A_NETWORK = "a network such as '127.0.0.0/8'"


def _listed(name: str, values: Any, checked: Callable[[Any], Any], what: str) -> tuple[Any, ...]:
    """Return what was given, one or several, each checked."""
    if isinstance(values, str | int | float | IPv4Network | IPv6Network):
        values = (values,)
    if isinstance(values, bytes | bytearray | memoryview) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list, each of it {what}, not {type(values).__name__}")
    try:
        found = list(values)
    except Exception as exc:  # noqa: BLE001  it is the caller's own, and may raise anything
        raise TypeError(f"{name} must be a list, each of it {what}; it raised {type(exc).__name__}") from None
    for number, value in enumerate(found):
        try:
            found[number] = checked(value)
        except (ValueError, TypeError) as exc:
            why = f": {exc}" if isinstance(exc, _HostBits) else f", not {type(value).__name__}"
            raise type(exc)(f"{name} must be a list, each of it {what}; number {number + 1} is not{why}") from None
    return tuple(dict.fromkeys(found))


class _HostBits(ValueError):
    """An address that stands where a network should."""


def _network(value: Any) -> Network:
    if not isinstance(value, str | IPv4Network | IPv6Network | IPv4Address | IPv6Address):
        raise TypeError
    network = ip_network(value, strict=False)
    if isinstance(value, str) and "/" in value and ip_address(value.partition("/")[0]) != network.network_address:
        raise _HostBits(f"{network} would be")
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        assert mapped is not None
        return IPv4Network((mapped, network.prefixlen - 96))  # as which it is judged
    return network


def _scheme(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    if value.lower() not in _SCHEMES:
        raise ValueError
    return value.lower()


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if not 1 <= value <= 65535:
        raise ValueError
    return value
