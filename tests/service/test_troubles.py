"""A file that goes bad while the service runs, or cannot be written; more calls than it takes; retention; settings."""

import asyncio
import json
import os
import socket
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from disks import fill, small_disk
from served import served

from workerpool.service.errors import Busy, StoreRefused
from workerpool.service.homes import open_store
from workerpool.service.settings import Limits, ServiceSettings
from workerpool.service.sqlite import writer
from workerpool.service.sqlite.file import Turn, open_writing

_NOBODY = 65534


@contextmanager
def as_nobody():
    """Be a user whom rights bind, for a block."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def ready(service):
    return service.call("GET", "/readyz")


def test_a_file_that_may_only_be_read_is_refused(run):
    """By name, with the cure; it stays as it is."""

    async def opened(path):
        store = await open_store(ServiceSettings(database=str(path)))
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder, "x.sqlite")
        with as_nobody():
            run(opened(path))
            path.chmod(0o444)
            before = path.read_bytes()
            with pytest.raises(StoreRefused, match=r"x\.sqlite: it cannot be written .*; mend the folder's rights"):
                run(opened(path))
            assert before == path.read_bytes()
            path.chmod(0o644)
            run(opened(path))


def test_a_full_disk_holds_jobs_up_and_loses_nothing(tmp_path, site):
    """Calls are answered 503 with the file's name; once there is room each request gets its one Result."""
    with small_disk(tmp_path / "disk", 6144) as disk, served(str(disk / "x.sqlite"), tmp_path) as service:
        urls = [site.url_for("/large/64")] * 40
        fill(disk, leave=512 * 1024)
        id = service.submit(*urls)
        service.wait_for(lambda: ready(service).status_code == 503)
        refused = service.call("POST", "/v1/jobs", json={"requests": urls * 50})
        for answer in (ready(service), refused):
            assert 503 == answer.status_code
            assert "x.sqlite: the disk is full" in answer.json()["detail"]
            assert "Retry-After" in answer.headers
        assert "ok\n" == service.call("GET", "/healthz").text
        assert id == service.job(id)["id"]
        (disk / "ballast").unlink()
        assert "succeeded" == service.done(id)["state"]
        results = service.results(id)
        assert list(range(40)) == sorted(each["n"] for each in results)
        assert site.hits == sum(len(each["attempts"]) for each in results)
        assert 202 == service.call("POST", "/v1/jobs", json={"requests": urls[:1]}).status_code


def test_a_file_that_is_damaged_while_it_runs_is_told_of(tmp_path, site):
    """By name, with the cure; health goes on, and the next start refuses it."""
    database = str(tmp_path / "x.sqlite")
    with served(database, tmp_path) as service:
        id = service.submit(*[site.url_for("/fast/1")] * 300)
        service.done(id)
        service.stop()  # what is in the log is taken over
        service.start()
        with Path(database).open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(Path(database).stat().st_size - 4096))
        answer = service.call("GET", f"/v1/jobs/{id}/results?limit=1000")
        assert 503 == answer.status_code
        assert f"{database}: it is damaged" in answer.json()["detail"]
        assert "restore a backup" in answer.json()["detail"]
        assert "ok\n" == service.call("GET", "/healthz").text


def test_what_is_old_goes_while_it_serves(database, tmp_path, site):
    """The first sweep is at the start: what is done and past its days goes, what waits stays."""
    with served(database, tmp_path, "--keep-days", "0.000001") as service:
        done = service.submit(site.url_for("/fast/1"))
        held = service.submit(site.url_for("/fast/2"), not_before="2030-01-01T00:00:00Z")
        service.wait_for(lambda: service.job(done)["finished_at"])
        service.stop()
        service.start()
        service.wait_for(lambda: service.call("GET", f"/v1/jobs/{done}").status_code == 404)
        assert held == service.job(held)["id"]


def test_what_is_too_much_goes_while_it_serves(database, tmp_path, site):
    """The oldest first."""
    with served(database, tmp_path, "--keep-bytes", "1000000") as service:
        jobs = [service.submit(site.url_for("/large/600")) for _ in range(3)]
        for id in jobs:
            service.done(id)
        service.stop()
        service.start()
        service.wait_for(lambda: service.call("GET", f"/v1/jobs/{jobs[1]}").status_code == 404)
        assert jobs[2] == service.job(jobs[2])["id"]


def test_more_calls_at_a_time_than_it_takes_are_refused(service):
    """With a 503 that says when to come again; health is answered, and so are others once there is room."""
    port = int(service.url.rpartition(":")[2])
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    with ExitStack() as stack:
        for _ in range(Limits().in_progress):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        service.wait_for(lambda: service.call("GET", "/v1/jobs").status_code == 503)
        refused = service.call("POST", "/v1/jobs", json={"url": "https://a.test/"})
        assert (503, "1") == (refused.status_code, refused.headers["Retry-After"])
        assert "too many calls" in refused.json()["detail"]
        assert 200 == service.call("GET", "/healthz").status_code
    service.wait_for(lambda: service.call("GET", "/v1/jobs").status_code == 200)


class Gate:
    """A gate before each commit, which opens once it is told to."""

    def __init__(self):
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __enter__(self):
        self.reached.set()
        assert self.go_on.wait(60)

    def __exit__(self, *exc_info):
        pass


def test_more_writes_than_may_wait_are_refused(tmp_path, run, monkeypatch):
    """Those that wait are done all the same."""
    monkeypatch.setattr(writer, "_MOST", 5)
    gate, done = Gate(), []

    async def scenario():
        path = tmp_path / "x.sqlite"
        calls = writer.Writer(path, open_writing(path), Turn(path), gate, lambda _change: None)
        first = asyncio.create_task(calls.do(lambda _change: done.append(0)))
        await asyncio.to_thread(gate.reached.wait, 60)
        waiting = [asyncio.create_task(calls.do(lambda _change, n=n: done.append(n))) for n in range(1, 6)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="5 calls wait to be stored"):
            await calls.do(lambda _change: done.append(6))
        gate.go_on.set()
        await asyncio.gather(first, *waiting)
        await asyncio.to_thread(calls.close)

    run(scenario())
    assert list(range(6)) == done


def test_the_log_is_json_where_asked_for(database, tmp_path):
    """A line each, with when, how bad, and by whom."""
    with served(database, tmp_path, "--log", "json", "-v") as service:
        service.stop()
        lines = [json.loads(line) for line in service.log.splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= each.keys() for each in lines)
    assert any(each["message"].startswith("listening on http://127.0.0.1:") for each in lines)


def test_a_file_of_settings_counts_below_the_command_line(database, tmp_path, site):
    """And one that is wrong is refused by name."""
    config = tmp_path / "service.toml"
    config.write_text('[serve]\nlog = "json"\nport = 1\nkeep-days = 3\npublic-host = ["jobs.example"]\n')
    with served(database, tmp_path, "--config", str(config)) as service:
        assert json.loads(service.log.splitlines()[0])["level"] == "info"
        answer = service.call("GET", "/v1/jobs", headers={"Host": "jobs.example"})
        assert 200 == answer.status_code
        assert 403 == service.call("GET", "/v1/jobs", headers={"Host": "other.example"}).status_code
        service.stop()
        config.write_text("[serve]\nports = 1\n")
        with pytest.raises(RuntimeError, match=r"ended with 2:[\s\S]*service\.toml: \[serve\] has no setting ports"):
            service.start()
