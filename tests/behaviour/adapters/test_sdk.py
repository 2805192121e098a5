"""A client library from PyPI that takes a requests session, unchanged over the pool."""

import json
from urllib.parse import parse_qs, urlsplit

import gitlab
import pytest
import requests
from servers import Handler, handled

from workerpool.adapters.requests import PoolAdapter


class _Gitlab(Handler):
    """As much of GitLab's API as the test asks for: pages, a POST, an error, a download."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/api/v4/projects/1/repository/archive"):
            self._answer(200, b"x" * 300_000)
        elif self.path.startswith("/api/v4/projects/404"):
            self._answer(404, b'{"message": "404 Project Not Found"}')
        elif self.path.startswith("/api/v4/projects/1"):
            self._answer(200, b'{"id": 1, "name": "one"}')
        else:
            page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
            following = f"http://{self.headers['Host']}/api/v4/projects?page={page + 1}&per_page=2"
            link = {"Link": f'<{following}>; rel="next"'} if page < 3 else {}
            self._answer(200, json.dumps([{"id": 2 * page}, {"id": 2 * page + 1}]).encode(), link)

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(201, json.dumps({"id": 9, "token": self.headers["PRIVATE-TOKEN"], **sent}).encode())

    def _answer(self, status, body, headers=None):
        self.answer(status, body, {"Content-Type": "application/json"} | (headers or {}))


@pytest.fixture
def server():
    with handled(_Gitlab) as url:
        yield url.removesuffix("/")


def test_python_gitlab_runs_unchanged(server, pool):
    """Pages, a POST with a token, a typed error of the SDK's own and a streamed download."""
    with requests.Session() as session:
        session.mount("http://", PoolAdapter(pool))
        client = gitlab.Gitlab(server, private_token="secret", session=session)
        assert [2, 3, 4, 5, 6, 7] == [project.id for project in client.projects.list(iterator=True, per_page=2)]
        created = client.projects.create({"name": "new"})
        assert (9, "new", "secret") == (created.id, created.name, created.token)
        with pytest.raises(gitlab.exceptions.GitlabGetError, match="404 Project Not Found"):
            client.projects.get(404)
        pieces = []
        client.projects.get(1).repository_archive(streamed=True, action=pieces.append)
        assert 300_000 == sum(map(len, pieces))
    assert 7 == pool.stats().succeeded
