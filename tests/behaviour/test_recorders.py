"""Programs that record answers and play them back, or make them up, where aiohttp's session is: their answers count."""

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from workerpool import BodyTooLarge, HTTPStatusError, WorkerPool


@pytest.mark.parametrize("path", ["/fast/1", "/redirect/2", "/gzip/1", "/status/404", "/large/300"])
def test_a_cassette_of_vcrpy_plays_back_what_it_recorded(path, site, tmp_path):
    """Fetched and streamed, without a network; what is on no cassette is vcrpy's own error."""
    vcr = pytest.importorskip("vcr")
    url, cassette = site.url_for(path), str(tmp_path / "cassette.yaml")
    with WorkerPool(workers=1) as pool:
        with vcr.use_cassette(cassette):
            recorded = pool.get(url)
        hits = site.hits
        options = {"record_mode": "none", "allow_playback_repeats": True}
        with vcr.use_cassette(cassette, **options):
            played = pool.get(url)
            with pool.stream("GET", url) as stream:
                assert recorded.content == stream.read()
            assert [recorded.content] * 3 == [result.unwrap().content for result in pool.fetch_many([url] * 3)]
            with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
                pool.post(url, data=b"never recorded")
        assert hits == site.hits
        assert (recorded.status_code, recorded.content) == (played.status_code, played.content)
        assert [each.url for each in recorded.history] == [each.url for each in played.history]
        assert recorded.content == pool.get(url).content  # the pool is as it was
        assert hits < site.hits


def test_an_upload_is_recorded_as_it_is_sent(site, tmp_path):
    """A file that is read while it is sent goes out whole, and is on the cassette."""
    vcr = pytest.importorskip("vcr")
    url, cassette = site.url_for("/echo"), tmp_path / "cassette.yaml"
    (tmp_path / "upload").write_bytes(b"all of the file")
    with WorkerPool() as pool, (tmp_path / "upload").open("rb") as file:
        with vcr.use_cassette(str(cassette)):
            recorded = pool.post(url, data=file)
        file.seek(0)
        with vcr.use_cassette(str(cassette), record_mode="none", match_on=["method", "uri", "body"]):
            assert recorded.content == pool.post(url, data=file).content
    assert b"all of the file" in recorded.content
    assert "all of the file" in cassette.read_text()


async def read_all(request, handler):
    """Look into the body, as a middleware does that notes it or looks for an error in it."""
    answer = await handler(request)
    await answer.read()
    return answer


@pytest.mark.parametrize("path", ["/fast/1", "/redirect/2", "/gzip/1", "/large/300"])
def test_a_body_that_a_middleware_has_read_is_still_the_callers(path, site, pool):
    """All of it, decoded once; within the same bounds."""
    url = site.url_for(path)
    usual = pool.get(url)
    assert usual.content
    with WorkerPool(middlewares=[read_all]) as looking:
        seen = looking.get(url)
        assert usual.content == seen.content
        assert [each.content for each in usual.history] == [each.content for each in seen.history]
        with looking.stream("GET", url) as stream:
            assert usual.content == stream.read()
        with pytest.raises(BodyTooLarge):
            looking.get(url, max_body=len(usual.content) - 1)


def test_an_answer_that_was_never_on_a_wire_needs_no_version(pool, monkeypatch):
    """As mocks make them; all else about it counts as ever."""

    class Made:
        method, status, reason, version, closed = "GET", 404, "Made up", None, True
        headers = CIMultiDictProxy(CIMultiDict({"X-Made": "up"}))
        content_length = None

        def __init__(self):
            self.content = aiohttp.streams.EmptyStreamReader()

    async def request(self, method, url, **options):
        return Made()

    monkeypatch.setattr(aiohttp.ClientSession, "request", request)
    answer = pool.get("http://never.invalid/")
    assert (404, "up", "1.1") == (answer.status_code, answer.headers["X-Made"], answer.http_version)
    with pytest.raises(HTTPStatusError):
        answer.raise_for_status()
