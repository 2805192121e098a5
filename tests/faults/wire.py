"""One connection of a client, and what a fault can do with it."""

import socket
import struct
import threading
from collections.abc import Callable

__all__ = ["ANSWER", "CRLF", "Wire", "answer", "chunk", "head", "read_head"]

CRLF = b"\r\n"
ANSWER = b"what was asked for"


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Return the head of an answer with these header lines."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def answer(body: bytes = ANSWER, *lines: str, status: str = "200 OK") -> bytes:
    """Return a whole and valid answer."""
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


def chunk(data: bytes) -> bytes:
    """Return the data as one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def read_head(connection: socket.socket) -> bytes:
    """Return the next request's head, or nothing at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(2**16)
        if not more:
            return b""
        data += more
    return data


class Wire:
    """Let a fault write on the connection and end it; an OSError means that the client has gone."""

    def __init__(
        self,
        connection: socket.socket,
        request: bytes,
        *,
        url: str,
        elsewhere: str,
        stopping: threading.Event,
        after_answer: threading.Event,
    ) -> None:
        self.request = request
        self.url = url  # of this server
        self.elsewhere = elsewhere  # a good URL of another origin
        self.ended = False
        self._connection = connection
        self._stopping = stopping
        self._after_answer = after_answer

    def send(self, *parts: bytes) -> None:
        """Write the parts at once, so that they are likely to arrive at once."""
        self._connection.sendall(b"".join(parts))

    def send_plain(self, data: bytes) -> None:
        """Write beside the encryption."""
        socket.socket.send(self._connection, data)

    def drip(self, data: bytes, every: float) -> None:
        """Write a byte at a time, with pauses of so many seconds."""
        for n in range(len(data)):
            self._connection.sendall(data[n : n + 1])
            if self._stopping.wait(every):
                return

    def pause(self) -> None:
        """Wait so long that what was sent arrives alone."""
        self._stopping.wait(0.2)

    def repeat(self, make: Callable[[], bytes]) -> None:
        """Write for ever, until the client goes."""
        while not self._stopping.is_set():
            self._connection.sendall(make())

    def wait_read(self) -> None:
        """Wait until the client's caller has the answer, and its connection lies idle."""
        self._after_answer.wait(60)

    def read(self) -> bytes:
        """Read what the client has sent; what is left unread at a close makes an RST of it."""
        return self._connection.recv(2**16)

    def wait_gone(self) -> None:
        """Wait until the client closes the connection."""
        while self._connection.recv(2**16):
            pass
        self.ended = True

    def close(self) -> None:
        """End the connection in good order."""
        self.ended = True
        # Not the method of an SSLSocket: that one would first take the encryption away.
        socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        self._connection.close()

    def reset(self) -> None:
        """End the connection with an RST."""
        self.ended = True
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()
