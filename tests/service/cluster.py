"""A PostgreSQL of the tests' own: Debian's binaries, a folder that goes again, a port that is free."""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import psycopg

__all__ = ["BINARIES", "Cluster", "cluster"]

BINARIES = next((each for each in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
_PATIENCE = 60.0  # seconds; only what hangs takes longer
_SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "200", "unix_socket_directories": "",
             "shared_buffers": "64MB", "log_min_messages": "fatal"}  # fmt: skip
_numbers = itertools.count()


class Cluster:
    """A server, which can be stopped, killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port)}.items()]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([*_as_user("postgres"), "-D", str(self.folder / "data"), *options],
                                             stdout=log, stderr=log, cwd=self.folder)  # fmt: skip
        end = monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.address("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if monotonic() > end or self._process.poll() is not None:
                    raise
                sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and writes all, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(_PATIENCE)
            self._process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """Stop it, and start it again."""
        self.stop(number)
        self.start()

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make a database, and return its address."""
        name = f"tested_{next(_numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return self.address(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a new one for a block."""
    with tempfile.TemporaryDirectory(prefix="workerpool-postgres-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            os.chown(folder, *pwd.getpwnam("postgres")[2:4])
        subprocess.run([*_as_user("initdb"), "-D", str(folder / "data"), "-U", "postgres", "--auth=trust", "--no-sync",
                        "--encoding=UTF8", "--locale=C.UTF-8"],
                       check=True, stdout=subprocess.DEVNULL, cwd=folder)  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        found = Cluster(folder, port)
        try:
            found.start()
            yield found
        finally:
            found.stop(signal.SIGQUIT)


def _as_user(program: str) -> list[str]:
    assert BINARIES is not None
    command = [str(BINARIES / program)]
    if os.geteuid() != 0:
        return command
    found = shutil.which("setpriv")
    assert found is not None
    return [found, "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
