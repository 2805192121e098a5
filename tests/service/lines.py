"""A line to a service, at an address that stays: it forwards, and cuts what it is told to cut."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Line"]

Cut = Callable[[bytes], int | None]


class Line:
    """Forward connections to wherever `target` is now; where nobody is there they are closed.

    `cut` is asked for each connection with the first bytes that the client has sent: after how many bytes of the answer
    it is cut; None: never. `cuts` counts them.
    """

    def __init__(self, cut: Cut = lambda _head: None) -> None:
        self.target = ""
        self.cut = cut
        self.cuts = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _peer = self._server.accept()
                self._open.append(connection)
                self._begin(self._serve, connection)

    def _begin(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            # One call each, so that every call is seen.
            head = client.recv(65536).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            parts = urlsplit(self.target)
            try:
                with socket.create_connection((parts.hostname, parts.port)) as service:
                    self._open.append(service)
                    service.sendall(head)
                    self._begin(_forward, client, service)
                    self._answer(service, client, self.cut(head))
            finally:
                client.shutdown(socket.SHUT_RDWR)  # to close it alone tells nobody, while a thread reads from it

    def _answer(self, service: socket.socket, client: socket.socket, left: int | None) -> None:
        while data := service.recv(65536):
            if left is not None and len(data) >= left:
                client.sendall(data[:left])
                self.cuts += 1
                return
            client.sendall(data)
            left = None if left is None else left - len(data)


def _forward(begin: socket.socket, end: socket.socket) -> None:
    with suppress(OSError):
        while data := begin.recv(65536):
            end.sendall(data)
