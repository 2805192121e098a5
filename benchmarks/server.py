"""The server to run against: nginx where it is installed, else aiohttp.web in a process of its own."""

import gzip
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

__all__ = ["SIZE", "serving"]

SIZE = 1024
_IN_CONF = 4096  # bytes of a page that nginx is given in its configuration
_START = 10  # seconds that a server gets to listen
_NGINX = """
daemon off; worker_processes 1; worker_rlimit_nofile 20100; pid {root}/pid; error_log stderr warn;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 100000000; default_type text/plain;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  sendfile on;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /page {{ {page} }}
    location = /packed {{ root {root}; add_header Content-Encoding gzip; }}
  }}
}}
"""


@contextmanager
def serving(size: int = SIZE, latency: float | None = None, *, packed: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the server's name and the URL of a page of so many bytes; packed, it is text that comes as gzip from nginx.

    With a latency, in seconds, it is a server of our own, which reads uploads to their end before it waits so long.
    """
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    with tempfile.TemporaryDirectory() as root:
        port = _free_port()
        if latency is not None:
            name = f"a server that waits for {latency * 1000:g} ms"
            command = [sys.executable, "-m", "benchmarks.slow_server", str(port), str(size), str(latency)]
        elif nginx is None and packed:
            raise RuntimeError("packed bodies need nginx; install it")
        elif nginx is None:
            name, command = (
                "aiohttp.web (install nginx for a faster one)",
                [sys.executable, "-m", __name__, str(port), str(size)],
            )
        else:
            name, command = "nginx", _nginx(nginx, Path(root), port, size)
        if packed:
            _write_packed(Path(root), size)
        with _running(name, command, port, Path(root) / "stderr"):
            yield name, f"http://127.0.0.1:{port}/{'packed' if packed else 'page'}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _nginx(command: str, root: Path, port: int, size: int) -> list[str]:
    page = f'return 200 "{"x" * size}";'
    if size > _IN_CONF:
        root.chmod(0o755)  # nginx reads files as another user
        (root / "page").touch()
        os.truncate(root / "page", size)
        page = f"root {root};"
    conf = root / "conf"
    conf.write_text(_NGINX.format(root=root, port=port, page=page))
    return [command, "-p", str(root), "-e", "stderr", "-c", str(conf)]


def _write_packed(root: Path, size: int) -> None:
    """Write text of so many bytes, which gzip makes a quarter of."""
    root.chmod(0o755)  # nginx reads files as another user
    dice = random.Random(1)
    words = [bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 10))) for _ in range(2000)]
    text = b" ".join(dice.choices(words, k=size // 3))[:size]
    (root / "packed").write_bytes(gzip.compress(text))


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
