"""A server that answers in all the ways a page has to show: late, not at all, with errors, with hostile headers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["HOSTILE", "Site", "site"]

HOSTILE = (
    '"\'><script>window.canary=1;alert(1)</script><img src=x onerror="window.canary=2;alert(2)">'
    '{{7*7}} javascript:alert(3) " onfocus="alert(4)" autofocus x="'
)


@dataclass
class Site:
    """Its address; what hangs goes on once it is let go."""

    url: str = ""
    gate: threading.Event = field(default_factory=threading.Event)


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            way = self.path.split("/")[1]
            if way == "hang":
                site.gate.wait(120)
            status = {"missing": 404, "broken": 500, "to": 302}.get(way, 200)
            body = f"<script>top.canary=3</script>{self.path}".encode()
            with suppress(OSError):
                self.send_response_only(status)
                if way == "to":
                    self.send_header("Location", "/page" + self.path)
                if way == "hostile":
                    self.send_header("X-Hostile", HOSTILE)
                    self.send_header(HOSTILE.translate(_NO_TOKEN)[:40], "1")
                self.send_header("Content-Type", f"text/html; x={HOSTILE}" if way == "hostile" else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


_NO_TOKEN = {ord(each): "-" for each in "\"'<>();=[]{}: /,@?\\"}


@contextmanager
def site() -> Iterator[Site]:
    """Serve for a block."""
    found = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
