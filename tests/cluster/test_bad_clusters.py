"""What is wrong with a cluster, or with what is given to it, is told by its name and with the cure."""

import subprocess
import sys
import threading

import pytest
from clusters import module_cluster, module_pool  # noqa: F401  fixtures

from workerpool import InvalidRequest, Lane
from workerpool.cluster import ClusterError, DaskPool, NotOnCluster, NotPicklable, Unreachable, VersionMismatch


def test_nobody_at_the_address(free_port, monkeypatch):
    """Of the scheduler."""
    monkeypatch.setattr("workerpool.cluster.starting._PATIENCE", 0.5)
    with pytest.raises(
        Unreachable, match=rf"no Dask scheduler answers at 'tcp://127.0.0.1:{free_port}'.*dask scheduler"
    ):
        DaskPool(f"tcp://127.0.0.1:{free_port}")


def test_tls_needs_certificates(monkeypatch):
    """Which an address alone does not give."""
    monkeypatch.setattr("workerpool.cluster.starting._PATIENCE", 0.5)
    with pytest.raises(Unreachable, match="security=Security"):
        DaskPool("tls://127.0.0.1:1")


@pytest.mark.parametrize("given", [3, b"tcp://host:1", ["tcp://host:1"]])
def test_what_is_no_cluster_is_refused(given):
    """By its type."""
    with pytest.raises(InvalidRequest, match="a Client, a cluster, an address or None"):
        DaskPool(given)


def test_a_worker_without_workerpool(cluster):
    """The cure is the command that installs it; the pool of a cluster that has one is not made."""
    address = cluster.add("sys.modules['workerpool'] = None")
    try:
        with pytest.raises(
            VersionMismatch, match=rf"{address} has no workerpool .*pip install 'aiohttp-workerpool\[dask\]'"
        ):
            DaskPool(cluster.address)
    finally:
        cluster.kill(address)


def test_a_worker_of_another_version(cluster):
    """Both versions are named, and what to install there."""
    address = cluster.add("import workerpool; workerpool.__version__ = '0.0.1'")
    try:
        with pytest.raises(VersionMismatch, match=r"has workerpool 0\.0\.1, and this is .*pip install .*=="):
            DaskPool(cluster.address)
    finally:
        cluster.kill(address)


def test_a_worker_without_the_extra_of_a_lane(cluster):
    """Such as aiohttp-socks, that the client has."""
    hidden = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n, *a: None if n == 'aiohttp_socks' else find(n, *a)"
    address = cluster.add(hidden)
    try:
        with pytest.raises(
            ClusterError, match=rf"{address} .*needs an extra: pip install 'aiohttp-workerpool\[socks\]'"
        ):
            DaskPool(cluster.address, proxy="socks5://127.0.0.1:1080")
    finally:
        cluster.kill(address)


def test_a_lane_that_cannot_travel(cluster):
    """The lane, the field and the cure."""
    import ssl

    with pytest.raises(NotPicklable, match=r"lane 'api': ssl cannot travel.*connector="):
        DaskPool(cluster.address, lanes=[Lane("api", ssl=ssl.create_default_context())])


def test_a_function_that_cannot_travel(shared_pool):
    """At the call, and nothing is counted."""
    lock = threading.Lock()

    async def fn(session):
        return lock

    before = shared_pool.stats().submitted
    with pytest.raises(NotPicklable, match="'lock' of its closure"):
        shared_pool.submit(fn)
    assert before == shared_pool.stats().submitted


def test_a_result_that_cannot_travel(shared_pool):
    """Names the function and what to return instead."""

    async def fn(session):
        return session

    with pytest.raises(NotPicklable, match=r"fn returned a \w+, which cannot be pickled.*return plain values"):
        shared_pool.submit(fn).result(60)


def test_a_module_that_the_worker_lacks(shared_pool, tmp_path, monkeypatch):
    """Is named, with the cure."""
    (tmp_path / "only_here.py").write_text("async def fn(session):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    with pytest.raises(NotPicklable, match=r"only_here.*install it on the workers too"):
        shared_pool.submit(only_here.fn).result(60)


def test_what_needs_a_socket_here_is_refused(shared_pool):
    """With what to do instead."""
    with pytest.raises(NotOnCluster, match="use a WorkerPool"), shared_pool.stream("GET", "http://127.0.0.1:1/"):
        pass
    with pytest.raises(NotOnCluster, match="WebSocket"), shared_pool.websocket("ws://127.0.0.1:1/"):
        pass
    with pytest.raises(NotOnCluster, match="Lane"):
        shared_pool.session()


def test_processes_beside_an_address_are_refused():
    """It does not start any there."""
    with pytest.raises(InvalidRequest, match="processes="):
        DaskPool("tcp://127.0.0.1:1", processes=2)
    with pytest.raises(InvalidRequest, match="at least 1"):
        DaskPool(processes=0)


def test_without_distributed_the_command_is_told():
    """That installs it."""
    script = "import sys; sys.modules['distributed'] = None\ntry:\n    import workerpool.cluster\nexcept ImportError as e:\n    print(e)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=80, check=True)
    assert "needs an extra: pip install 'aiohttp-workerpool[dask]'" in done.stdout
