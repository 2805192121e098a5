"""A receiver of webhooks: keeps what comes, and answers by a script."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

__all__ = ["Message", "Receiver", "receiving"]

_PATIENCE = 60.0


@dataclass(frozen=True)
class Message:
    """What has come."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What has come so far. `answers` are statuses, or (status, headers); the last one stays."""

    url: str = ""
    answers: Sequence[int | tuple[int, dict[str, str]]] = (204,)
    messages: list[Message] = field(default_factory=list)
    hold: threading.Event | None = None  # answers wait for it
    news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, message: Message) -> tuple[int, dict[str, str]]:
        """Keep a message, and return the answer to it."""
        with self.news:
            answer = self.answers[min(len(self.messages), len(self.answers) - 1)]
            self.messages.append(message)
            self.news.notify_all()
        if self.hold is not None:
            self.hold.wait(_PATIENCE)
        return (answer, {}) if isinstance(answer, int) else answer

    def wait_for(self, number: int) -> list[Message]:
        """Wait until so many have come."""
        end = monotonic() + _PATIENCE
        with self.news:
            while len(self.messages) < number:
                assert self.news.wait(end - monotonic()), self.messages
            return list(self.messages)


@contextmanager
def receiving(host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Receive for a block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            status, headers = receiver.take(Message(self.path, {n.lower(): v for n, v in self.headers.items()}, body))
            self.send_response(status)
            for each in headers.items():
                self.send_header(*each)
            if status not in (204, 304):
                self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 256
        daemon_threads = True

    with Server((host, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        receiver.url = f"http://{host}:{server.server_address[1]}"
        try:
            yield receiver
        finally:
            if receiver.hold is not None:
                receiver.hold.set()
            server.shutdown()
            thread.join()
