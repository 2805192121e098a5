"""The server to run against: nginx where it is installed, else an aiohttp server in a process of its own."""

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
_EMBEDDED = (
    "from workerpool.testing import Site; import sys\nwith Site() as s: print(s.url, flush=True); sys.stdin.read()"
)
_NGINX = """
daemon off; worker_processes 1; pid {root}/pid; error_log stderr crit;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 100000000; default_type text/plain;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}
}}
"""


@contextmanager
def serving() -> Iterator[tuple[str, str]]:
    """Yield the server's name and the URL of a page of SIZE bytes."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        with _embedded() as url:
            yield "aiohttp.web (install nginx for a faster one)", f"{url}/fast/1"
    else:
        with _nginx(nginx) as url:
            yield "nginx", f"{url}/page"


@contextmanager
def _nginx(command: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)  # nginx's worker may run as another user
        (Path(root) / "page").write_bytes(b"x" * SIZE)
        (Path(root) / "conf").write_text(_NGINX.format(root=root, port=port))
        process = subprocess.Popen([command, "-p", root, "-c", f"{root}/conf"], stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def _embedded() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", _EMBEDDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


def _wait_for(port: int) -> None:
    end = monotonic() + 10
    while monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.01)
    raise TimeoutError("nginx did not start to listen within 10 s")
