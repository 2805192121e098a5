"""Proxies for tests: they note what they are told, forward what they can, and answer the rest themselves."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nby proxy"


class Proxy:
    """An http proxy: answers plain requests itself, and opens tunnels. `seen` holds the heads that it was sent."""

    scheme = "http"

    def __init__(self, *, forwards: bool = True) -> None:
        self.seen: list[str] = []
        self._forwards = forwards
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._server.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._server.accept()
            except OSError:
                return
            self._open.append(connection)
            self._begin(self._guarded, connection)

    def _begin(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, IndexError, struct.error):
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        while head := self._head(connection):
            self.seen.append(head.decode("latin-1"))
            method, target, _version = self.seen[-1].split("\r\n", 1)[0].split(" ")
            if method != "CONNECT":
                connection.sendall(ANSWER)
            elif not self._forwards:
                connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
            else:
                host, _, port = target.rpartition(":")
                self._tunnel(connection, (host.strip("[]"), int(port)), b"HTTP/1.1 200 Open\r\n\r\n")
                return

    def _tunnel(self, connection: socket.socket, address: tuple[str, int], agreed: bytes) -> None:
        far = socket.create_connection(address)
        self._open.append(far)
        connection.sendall(agreed)
        self._begin(self._pump, far, connection)
        self._pump(connection, far)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    @staticmethod
    def _head(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
            data += more
        return data


class SocksProxy(Proxy):
    """A SOCKS5 proxy; `seen` holds where each connection was asked to go, after "user:password@" if it was told."""

    scheme = "socks5h"

    def _serve(self, connection: socket.socket) -> None:
        first = self._exactly(connection, 1)
        if first != b"\x05":
            self.seen.append(f"no SOCKS: {(first + connection.recv(65536)).decode('latin-1')}")
            return
        offered = self._exactly(connection, self._exactly(connection, 1)[0])
        who = ""
        if 2 in offered:
            connection.sendall(b"\x05\x02")
            self._exactly(connection, 1)
            user, password = self._counted(connection), self._counted(connection)
            who = f"{user}:{password}@"
            connection.sendall(b"\x01\x00")
        else:
            connection.sendall(b"\x05\x00")
        kind = self._exactly(connection, 4)[3]
        if kind == 1:
            host = socket.inet_ntoa(self._exactly(connection, 4))
        elif kind == 4:
            host = socket.inet_ntop(socket.AF_INET6, self._exactly(connection, 16))
        else:
            host = self._counted(connection)
        (port,) = struct.unpack("!H", self._exactly(connection, 2))
        self.seen.append(f"{who}{host}:{port}")
        self._tunnel(connection, (host, port), b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")

    def _counted(self, connection: socket.socket) -> str:
        return self._exactly(connection, self._exactly(connection, 1)[0]).decode()

    @staticmethod
    def _exactly(connection: socket.socket, number: int) -> bytes:
        data = b""
        while len(data) < number:
            if not (more := connection.recv(number - len(data))):
                raise OSError("closed early")
            data += more
        return data
