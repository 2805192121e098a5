"""The server: threads and raw sockets, two ports; the second one, another origin, only gives good answers."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from .certificates import server_context
from .table import Fault
from .wire import Wire, answer, read_head

__all__ = ["FaultServer", "Listener"]

_HOST = "127.0.0.1"


class Listener:
    """Accept connections and serve each on a thread of its own, until closed."""

    def __init__(self, serve: Callable[[socket.socket], None], *, listening: bool = True) -> None:
        self._serve = serve
        self._socket = socket.socket()
        self._socket.bind((_HOST, 0))  # bound without listening, it refuses and nobody else can take it
        self.port: int = self._socket.getsockname()[1]
        self._lock = threading.Lock()  # guards the connections
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        if listening:
            self._socket.listen(128)
            self._start(self._accept)

    def track(self, connection: socket.socket) -> None:
        """Remember a connection, to end it when the time comes."""
        with self._lock:
            self._connections.add(connection)

    def close(self) -> None:
        """End every connection and wait for the threads."""
        self._closing = True
        with suppress(OSError):  # the accept that waits has to be woken
            socket.create_connection((_HOST, self.port), 1).close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._socket.close()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"fault-server-{self.port}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            connection, _peer = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.track(connection)
            if self._closing:
                connection.close()
                return
            self._start(self._attend, connection)

    def _attend(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):  # the client has gone; ssl.SSLError is one too
                self._serve(connection)
        finally:
            with self._lock:
                self._connections = {one for one in self._connections if one.fileno() >= 0}


class FaultServer:
    """Serve one fault at `url`, and good answers at `good(n)`."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen: list[bytes] = []  # heads of the requests, the good ones not counted
        self.seen_elsewhere: list[bytes] = []
        self.read = threading.Event()  # set by who asks, when the answer is there
        self.done = threading.Event()  # the fault has happened, the first time at least
        self._stopping = threading.Event()
        self._accepted = threading.Event()
        self._context = server_context(fault.tls) if fault.tls else None
        self._elsewhere = Listener(self._serve_elsewhere)
        self._here = Listener(self._serve, listening=fault.at != "never")
        self.url = f"{'https' if fault.tls else 'http'}://{_HOST}:{self._here.port}/fault"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def good(self, n: int) -> str:
        """Return a URL that is answered with its own path; at this port if that can answer at all."""
        return f"{self.elsewhere if self.fault.spoils_port else self.url.removesuffix('/fault')}/good/{n}"

    @property
    def elsewhere(self) -> str:
        """The other origin."""
        return f"http://{_HOST}:{self._elsewhere.port}"

    def close(self) -> None:
        """End every connection and wait for the threads."""
        self._stopping.set()
        self.read.set()
        self._here.close()
        self._elsewhere.close()

    def _serve(self, connection: socket.socket) -> None:
        if self.fault.at == "accept" and not self._accepted.is_set():
            self._accepted.set()
            self._act(self._wire(connection, b""))
        elif self._context is None:
            self._serve_requests(connection)
        else:
            with self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
                self._here.track(secured)
                secured.do_handshake()
                self._serve_requests(secured)

    def _serve_requests(self, connection: socket.socket) -> None:
        while request := read_head(connection):
            path = request.split(b" ", 2)[1]
            if path.startswith(b"/good/"):
                connection.sendall(answer(path))
                continue
            self.seen.append(request)
            wire = self._wire(connection, request)
            self._act(wire)
            if wire.ended:
                return

    def _serve_elsewhere(self, connection: socket.socket) -> None:
        while request := read_head(connection):
            path = request.split(b" ", 2)[1]
            if not path.startswith(b"/good/"):
                self.seen_elsewhere.append(request)
            connection.sendall(answer(path))

    def _act(self, wire: Wire) -> None:
        try:
            self.fault.act(wire)
        finally:
            self.done.set()

    def _wire(self, connection: socket.socket, request: bytes) -> Wire:
        return Wire(
            connection,
            request,
            url=self.url,
            elsewhere=self.elsewhere,
            stopping=self._stopping,
            after_answer=self.read,
        )
