"""The server to run against: nginx where it is installed, else aiohttp.web in a process of its own."""

import gzip
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

__all__ = ["SIZE", "Server", "serving", "serving_links"]

SIZE = 1024
_IN_CONF = 4000  # bytes of a page that nginx is given in its configuration, where a word has less than 4096
_START = 10  # seconds that a server gets to listen
_NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 20100; pid {root}/pid; error_log stderr warn;
events {{ worker_connections 20000; }}
http {{
  {kept} default_type text/plain;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  sendfile on;
  server {{
    listen 127.0.0.1:{port} backlog=4096{tls};
    location = /page {{ {page} }}
    location = /packed {{ root {root}; add_header Content-Encoding gzip; }}
  }}
}}
"""
# What servers speak today; nginx before 1.23.4 has to be told.
_TLS = " ssl; ssl_protocols TLSv1.3; ssl_certificate {root}/certificate; ssl_certificate_key {root}/certificate"
_KEPT = "access_log off; keepalive_requests 100000000;"
_CLOSES = 'keepalive_timeout 0; log_format sessions "$args $ssl_session_reused"; access_log {root}/log sessions;'


@dataclass(frozen=True, slots=True)
class Server:
    """What serves a page at a URL, and perhaps the file of the authority to trust and a log of its connections."""

    name: str
    url: str
    ca: Path | None = None
    log: Path | None = None

    def url_for(self, client: str) -> str:
        """Return the page's URL; where connections are logged it tells whose they are."""
        return self.url if self.log is None else f"{self.url}?{client}"

    def resumed(self, client: str) -> float:
        """Return the share of the client's connections so far that went on with a TLS session of an earlier one."""
        lines = [] if self.log is None else self.log.read_text().splitlines()
        counts = Counter(line.removeprefix(f"{client} ") for line in lines if line.startswith(f"{client} "))
        return counts["r"] / max(1, counts.total())


@contextmanager
def serving(
    size: int = SIZE, latency: float | None = None, *, packed: bool = False, tls: bool = False, closes: bool = False
) -> Iterator[Server]:
    """Yield a server with a page of so many bytes; packed, it is text that comes as gzip from nginx.

    With a latency, in seconds, it is a server of our own, which reads uploads to their end before it waits so long.
    With tls it has a certificate, of an authority made for it. One that closes gives each connection one answer, and
    logs which of them resumed a session.
    """
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    with tempfile.TemporaryDirectory() as folder:
        root, port = Path(folder), _free_port()
        if latency is not None:
            name = f"a server that waits for {latency * 1000:g} ms"
            command = [sys.executable, "-m", "benchmarks.slow_server", str(port), str(size), str(latency)]
        elif nginx is not None:
            name, command = "nginx", _nginx(nginx, root, port, size, tls=tls, closes=closes)
        elif packed or tls or closes:
            raise RuntimeError("packed bodies, TLS and connections for one answer need nginx; install it")
        else:
            name = "aiohttp.web (install nginx for a faster one)"
            command = [sys.executable, "-m", __name__, str(port), str(size)]
        if packed:
            _write_packed(root, size)
        ca = _certify(root) if tls else None
        with _running(name, command, port, root / "stderr"):
            url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/{'packed' if packed else 'page'}"
            yield Server(name, url, ca, root / "log" if closes else None)


@contextmanager
def serving_links(pages: int) -> Iterator[str]:
    """Yield the URL of a site's first page; the others can be found by links."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.linked_server", str(port), str(pages)]
        with _running("a site of links", command, port, Path(folder) / "stderr"):
            yield f"http://127.0.0.1:{port}/p/0"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _nginx(command: str, root: Path, port: int, size: int, *, tls: bool, closes: bool) -> list[str]:
    page = f'return 200 "{"x" * size}";'
    if size > _IN_CONF:
        root.chmod(0o755)  # nginx reads files as another user
        (root / "page").touch()
        os.truncate(root / "page", size)
        page = f"root {root};"
    conf = root / "conf"
    kept = (_CLOSES if closes else _KEPT).format(root=root)
    secured = _TLS.format(root=root) if tls else ""
    conf.write_text(_NGINX.format(root=root, port=port, page=page, kept=kept, tls=secured))
    return [command, "-p", str(root), "-e", "stderr", "-c", str(conf)]


def _write_packed(root: Path, size: int) -> None:
    """Write text of so many bytes, which gzip makes a quarter of."""
    root.chmod(0o755)  # nginx reads files as another user
    dice = random.Random(1)
    words = [bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 10))) for _ in range(2000)]
    text = b" ".join(dice.choices(words, k=size // 3))[:size]
    (root / "packed").write_bytes(gzip.compress(text))


def _certify(root: Path) -> Path:
    """Write the server's key and certificate, and return the file of the authority that has signed it."""
    import trustme  # here, since only these scenarios need it

    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(root / "certificate")
    authority.cert_pem.write_to_path(root / "ca")
    return root / "ca"


@contextmanager
def _running(name: str, command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        _wait_for(name, process, port, log)
        yield
    finally:
        process.terminate()
        process.wait(_START)


def _wait_for(name: str, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = monotonic() + _START
    while monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.01)
    raise RuntimeError(f"{name} did not start to listen on port {port}:\n{log.read_text()}")


def _serve(port: int, size: int) -> None:
    """Serve with aiohttp.web until terminated."""
    from aiohttp import web

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=bytes(size))

    app = web.Application()
    app.router.add_get("/page", page)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
