"""Spellings of addresses that are forbidden, listeners that see who comes all the same, and names that lead there."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from typing import Any

__all__ = ["Canaries", "canaries", "leading", "spellings"]

_HOSTS = """
127.0.0.1 127.0.0.1. 127.1 127.0.1 2130706433 0x7f000001 0x7F.0.0.1 0x7f.1 0x7f.0x0.0x0.0x1 017700000001 0177.0.0.1
0177.0.0.01 0177.1 00000177.0.0.1 127.0.0x1 127.0.01 0x7f.0.1 127.00.00.01 0 0.0.0.0 0x0 00 0.0 000.000.000.000
127.127.127.127 127.255.255.254 127.0.0.0 127.8.8.8 localhost LOCALHOST localhost. canary.test CANARY.TEST canary6.test
zero.test both.test mapped.test rebinding.test
[::1] [0:0:0:0:0:0:0:1] [::0001] [0000::1] [::0.0.0.1] [::1%251] [::] [0::0]
[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:7F00:0001] [::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::127.0.0.1] [2002:7f00:1::] [2002:7f00:0001::1] [2001:0:7f00:1::]
[2001::80ff:fffe] [fe80::5efe:127.0.0.1] [::ffff:0.0.0.0] [64:ff9b::0.0.0.0] [2002::]
①②⑦.⓪.⓪.① １２７.0.0.1 127。0。0。1 127．0．0．1 127｡0｡0｡1 ⑫7.0.0.1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ %6c%6f%63alhost %31%32%37.0.0.1 127%2e0%2e0%2e1
user@127.0.0.1 user:password@127.0.0.1 a.example@127.0.0.1 127.0.0.1%20 127.0.0.1%00 127.0.0.1%00.a.example
10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1 169.254.169.254 0xa9fea9fe 2852039166 [fd00:ec2::254] [fec0::1] [fc00::1]
[::ffff:169.254.169.254] 224.0.0.1 255.255.255.255 198.18.0.1 192.0.2.1 100.100.100.200 168.63.129.16
"""  # noqa: RUF001  they are meant


def spellings(*ports: int) -> list[str]:
    """Return URLs that must reach none of these ports of this machine, nor what else is forbidden."""
    return [f"http://{host}:{port}/" for port in ports for host in _HOSTS.split()]


class Canaries:
    """Listeners that nobody may come to."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        self.ports: tuple[int, int] = (0, 0)  # of both loopbacks, and of all addresses

    def watch(self, listener: socket.socket) -> None:
        """Note who comes, until the listener is closed."""
        while True:
            try:
                peer, _address = listener.accept()
            except OSError:
                return
            self.visits.append(str(listener.getsockname()))
            peer.close()


@contextmanager
def canaries() -> Iterator[Canaries]:
    """Listen for a block, on 127.0.0.1 and ::1 at one port, and on 0.0.0.0 at another."""
    found = Canaries()
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = first.getsockname()[1]
        six = stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6))
        everywhere = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        found.ports = port, everywhere.getsockname()[1]
        for each in (first, six, everywhere):
            thread = threading.Thread(target=found.watch, args=(each,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(each.shutdown, socket.SHUT_RDWR)
        yield found


def leading(look_up: Callable[..., Any], allowed: str) -> Callable[..., Any]:
    """Return a resolver that knows names of its own, one of which leads elsewhere each time it is asked."""
    turns = cycle([(allowed,), ("127.0.0.1",)])
    known: dict[str, Callable[[], tuple[str, ...]]] = {
        "allowed.test": lambda: (allowed,),
        "canary.test": lambda: ("127.0.0.1",),
        "canary6.test": lambda: ("::1",),
        "zero.test": lambda: ("0.0.0.0",),
        "both.test": lambda: (allowed, "127.0.0.1"),
        "mapped.test": lambda: ("::ffff:127.0.0.1",),
        "rebinding.test": lambda: next(turns),
    }

    def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if (addresses := known.get(name.lower().rstrip("."))) is None:
            return look_up(host, port, *args, **options)
        return [row for each in addresses() for row in look_up(each, port, *args, **options)]

    return getaddrinfo
