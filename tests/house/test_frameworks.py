"""The recipes of docs/frameworks.md, run as they are written, against a site on loopback."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import workerpool

RECIPES = (Path(__file__).parents[2] / "docs" / "frameworks.md").read_text()
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def recipe(word, site):
    """Return the code block that the word is in, asking the site instead of the shop."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", RECIPES, re.S) if word in block]
    return re.sub(r"https://shop\.example/[^\"]*", site.url_for("/gzip/7"), code)


def namespace(code):
    space = {"__name__": "recipe"}
    exec(compile(code, "recipe", "exec"), space)
    return space


@pytest.fixture
def the_pool():
    """The process's pool, ended afterwards."""
    yield
    workerpool.get_pool().shutdown()


def test_configure(site, the_pool, monkeypatch):
    monkeypatch.setattr("workerpool.caller.registry._options", {})
    namespace(recipe("Lane(", site))
    assert workerpool.get_pool().lane("search").get(site.url_for("/fast/1")).ok


def test_flask(site, the_pool):
    client = namespace(recipe("Flask", site))["app"].test_client()
    assert client.get("/price/tea").get_json() == {"n": 7}


def test_fastapi(site):
    from fastapi.testclient import TestClient

    with TestClient(namespace(recipe("FastAPI", site))["app"]) as client:
        assert client.get("/price/tea").json() == {"n": 7}


def test_celery(site, the_pool, monkeypatch):
    """A task, run as a worker runs it, in this process."""
    pytest.importorskip("celery")
    monkeypatch.setattr("workerpool.caller.registry._options", {})
    assert namespace(recipe("Celery", site))["price"].apply(args=["tea"]).get() == {"n": 7}


def test_django(site, the_pool, run):
    import django.conf
    import django.test

    if not django.conf.settings.configured:
        django.conf.settings.configure()
    views, factory = namespace(recipe("django", site)), django.test.RequestFactory()
    assert views["prices"](factory.get("/?name=tea&name=milk")).content == b'{"prices": [{"n": 7}, {"n": 7}]}'
    assert run(views["prices_async"](factory.get("/"))).content == b'{"n": 7}'


@FORKS
def test_a_preloaded_app_in_prefork_workers(site, tmp_path):
    """What the table promises of gunicorn: the parent sets the pool up, each child has its own."""
    app = recipe("Flask", site) + "\nimport os\n\n\n@app.get('/pid')\ndef pid():\n    return str(os.getpid())\n"
    (tmp_path / "shop.py").write_text("import workerpool\nworkerpool.configure(timeout=10)\n" + app)
    command = [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:0", "shop:app"]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        url = next(found[1] for line in server.stderr if (found := re.search(r"Listening at: (http://\S+)", line)))
        with workerpool.WorkerPool(workers=1) as pool:
            answers = [pool.get(f"{url}/price/tea").json() for _ in range(10)]
            assert int(pool.get(f"{url}/pid").text) != server.pid
        assert answers == [{"n": 7}] * 10
    finally:
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=20)[1]
    assert server.returncode == 0, said
    assert "Traceback" not in said
