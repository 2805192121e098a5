"""Programs that record answers and play them back, or make them up, where aiohttp's session is: their answers count."""

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from workerpool import HTTPStatusError, WorkerPool


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
