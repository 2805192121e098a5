"""Where the service may go: the address rules of all that it sends, and what they say of a URL."""

import asyncio
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from yarl import URL

from ..addresses import AddressRules, AddressVerdict, literal_address
from ..transport.resolver import NAMES

__all__ = ["Explained", "Refused", "explained", "is_own", "refusal_of", "usual_rules"]

_PATIENCE = 5.0  # seconds that a look-up may take

# Of protocols that read lines and act on them, so that a request is a command to them: the bad ports of the Fetch
# standard, but for those below 20, which do nothing.
_NOT_HTTP = frozenset({
    20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123,
    135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587,
    601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
})  # fmt: skip


def usual_rules(allow: Iterable[str] = (), ports: Iterable[int] = ()) -> AddressRules:
    """Return the rules by which nothing but global addresses is reached, and no ports of other protocols."""
    return AddressRules(allow=tuple(allow), ports=frozenset(range(1, 2**16)) - _NOT_HTTP | frozenset(ports))


def refusal_of(url: URL, rules: AddressRules) -> AddressVerdict | None:
    """Return why a URL may not be asked for, as far as it tells by itself; None for what may, and for names."""
    verdict = rules.explain(url)
    return verdict if verdict.allowed is False else None


class Refused(ValueError):
    """The address rules forbid a URL, as far as it tells by itself."""

    def __init__(self, verdict: AddressVerdict) -> None:
        super().__init__(f"the address rules forbid it: rule '{verdict.rule}', {verdict.text}")
        self.rule: str = verdict.rule


@dataclass(frozen=True, slots=True)
class Explained:
    """What the rules say of a URL, with the addresses that it resolves to."""

    allowed: bool
    rule: str
    text: str
    addresses: tuple[str, ...] = ()


async def explained(url: URL, rules: AddressRules) -> Explained:
    """Return what the rules say of a URL and of each address that it resolves to now."""
    verdict, literal = rules.explain(url), literal_address(url.raw_host or "")
    if literal is not None:
        return Explained(bool(verdict), verdict.rule, verdict.text, (str(literal),))
    addresses = await _resolved(url.raw_host or "")
    if verdict.allowed is False:
        return Explained(False, verdict.rule, verdict.text, addresses)
    if not addresses:
        return Explained(False, "name", "the name does not resolve")
    verdicts = [rules.explain(each) for each in addresses]
    worst = next((each for each in verdicts if not each), verdicts[0])
    return Explained(bool(worst), worst.rule, worst.text, addresses)


def is_own(url: URL, hosts: Collection[str]) -> bool:
    """Whether a URL leads to the service itself, by one of the names or addresses that it is called by."""
    name: object = (url.raw_host or "").rstrip(".").lower()
    if (address := literal_address(url.raw_host or "")) is not None:
        name = getattr(address, "ipv4_mapped", None) or address
    written = f"[{name}]" if ":" in str(name) else str(name)
    return f"{written}:{url.port}" in hosts or (url.is_default_port() and written in hosts)


async def _resolved(name: str) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await NAMES.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
