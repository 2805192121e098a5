"""TLS connections that are given up, to a server that says nothing: they end with their requests, and the pool at once."""

import subprocess
import sys

import pytest

pytest.importorskip("trustme")

CODE = """
import socket, ssl, sys, threading, trustme
from workerpool import Request, WorkerPool
authority = trustme.CA()
theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
authority.issue_cert("127.0.0.1").configure_cert(theirs)
authority.configure_trust(ours)
server, asked, ended, kept = socket.create_server(("127.0.0.1", 0)), threading.Semaphore(0), threading.Semaphore(0), []

def serve():
    while True:
        connection, _ = server.accept()
        connection = theirs.wrap_socket(connection, server_side=True)
        kept.append(connection)
        threading.Thread(target=listen, args=(connection,), daemon=True).start()

def listen(connection):
    connection.recv(65536)
    asked.release()
    try:
        connection.recv(1)
    except OSError:
        pass
    ended.release()

threading.Thread(target=serve, daemon=True).start()
url = f"https://127.0.0.1:{server.getsockname()[1]}/"

async def fetch(session, url):
    async with session.get(url) as response:
        return await response.read()

with WorkerPool(event_loop=sys.argv[1], ssl=ours, retry=None) as pool:
    for task in ((url,), (fetch, url), (Request("POST", url),)):
        job = pool.submit(*task)
        asked.acquire()
        job.cancel()
        ended.acquire()
print("over")
"""


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
def test_a_server_that_is_silent_holds_neither_the_socket_nor_the_pool(event_loop):
    """The server sees the end at once; nothing is left open, of which uvloop would warn, and hang if that is an error."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, event_loop], capture_output=True, text=True, timeout=80, check=False
    )
    assert (0, "over\n", "") == (child.returncode, child.stdout, child.stderr)
