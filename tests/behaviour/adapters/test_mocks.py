"""Libraries that stand in for the network, or keep what came from it, over the pool: responses, requests-mock, and so on."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
from aiohttp import web
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from workerpool.adapters.httpx import PoolTransport
from workerpool.adapters.requests import FuturesSession, PoolAdapter, install, uninstall

cachecontrol = pytest.importorskip("cachecontrol", reason="of the extra `test`")
requests_mock = pytest.importorskip("requests_mock", reason="of the extra `test`")
responses = pytest.importorskip("responses", reason="of the extra `test`")
vcr = pytest.importorskip("vcr", reason="of the extra `test`")


@pytest.fixture
def installed(pool, monkeypatch):
    """Every session is over the pool."""
    monkeypatch.setenv("NO_PROXY", "*")
    install(pool)
    yield pool
    uninstall()


@responses.activate
def test_responses_answers_instead_of_the_pool(installed, site):
    """What responses knows never reaches the network; what it lets through goes by the pool."""
    responses.get("http://service.invalid/", json={"mocked": True})
    responses.add_passthru(site.url_for(""))
    assert {"mocked": True} == requests.get("http://service.invalid/").json()
    with pytest.raises(requests.exceptions.ConnectionError, match="refused by Responses"):
        requests.get("http://other.invalid/")
    assert 0 == installed.stats().submitted
    assert requests.get(site.url_for("/fast/1")).ok
    with requests.get(site.url_for("/large/300"), stream=True) as answer:
        assert 300 * 1024 == len(answer.content)
    with FuturesSession(pool=installed) as session:
        assert {"mocked": True} == session.get("http://service.invalid/").result(30).json()
        assert session.get(site.url_for("/fast/1")).result(30).ok
    assert 3 == installed.stats().submitted


@responses.activate
def test_errors_and_retries_pass_through_a_mock(installed, workerpool_server, free_port):
    """Who lets a request through gets requests' errors, and the retries of the adapter."""
    responses.add_passthru("http://127.0.0.1")
    workerpool_server.reply("/", status=500, times=2)
    workerpool_server.reply("/", text="well")
    with requests.Session() as session:
        session.get_adapter("http://").max_retries = Retry(3, status_forcelist=[500])
        assert "well" == session.get(workerpool_server.url_for("/")).text
    with pytest.raises(requests.exceptions.ConnectionError) as caught:
        requests.get(f"http://127.0.0.1:{free_port}/")
    assert "NewConnectionError" == type(caught.value.args[0].reason).__name__
    workerpool_server.reply("/slow", text="late", delay=30)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(workerpool_server.url_for("/slow"), timeout=0.1)


def test_a_wrapper_of_send_sees_every_request(installed, site, monkeypatch):
    """A tracer that wraps HTTPAdapter.send is called, and what it calls is the pool."""
    seen, send = [], HTTPAdapter.send

    def traced(self, request, **options):
        seen.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", traced)
    assert requests.get(site.url_for("/fast/1")).ok
    assert ([site.url_for("/fast/1")], 1) == (seen, installed.stats().submitted)


def test_requests_mock_answers_instead_of_the_pool(installed, site):
    """The same for requests-mock, real_http included."""
    with requests_mock.Mocker(real_http=True) as mock:
        mock.get("http://service.invalid/", text="mocked")
        assert "mocked" == requests.get("http://service.invalid/").text
        assert 0 == installed.stats().submitted
        assert requests.get(site.url_for("/fast/1")).ok
        assert 1 == installed.stats().submitted


class _Cached(cachecontrol.CacheControlAdapter, PoolAdapter):
    """What an application writes that wants both."""


@pytest.mark.parametrize("way", ["length", "chunked", "gzip", "stream"])
def test_a_cache_keeps_what_the_pool_brought(pool, workerpool_server, way):
    """CacheControl stores each kind of answer, and asks the server once."""
    text = b"content" * 1000
    headers = {"Cache-Control": "max-age=1000", "Date": "Thu, 01 Jan 2099 00:00:00 GMT"}
    body = text
    if way == "gzip":
        body, headers["Content-Encoding"] = gzip.compress(text), "gzip"

    async def in_chunks(request):
        answer = web.StreamResponse(headers=headers)
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for n in range(0, len(text), 1000):
            await answer.write(text[n : n + 1000])
        return answer

    if way == "chunked":
        workerpool_server.reply("/", handler=in_chunks)
    else:
        workerpool_server.reply("/", body=body, headers=headers)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", _Cached(pool=pool))
        for cached in (False, True, True):
            answer = session.get(workerpool_server.url_for("/"), stream=way == "stream")
            assert (text, cached) == (answer.content, answer.from_cache)
    assert 1 == len(workerpool_server.requests)


def test_a_cache_in_futures_is_asked_first(pool, workerpool_server):
    """FuturesSession begins no request that the adapter's own send may answer without one."""
    workerpool_server.reply("/", text="content", headers={"Cache-Control": "max-age=1000"})
    with FuturesSession(pool=pool) as session:
        session.trust_env = False
        session.mount("http://", _Cached(pool=pool))
        url = workerpool_server.url_for("/")
        assert [False, True] == [session.get(url).result(30).from_cache for _ in range(2)]
    assert 1 == len(workerpool_server.requests)


@pytest.mark.parametrize("path", ["/fast/1", "/gzip/3", "/redirect/2", "/status/404"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_cassette_is_replayed(installed, site, tmp_path, path, stream):
    """What vcrpy has recorded comes again without the network, by requests and by httpx."""
    url = site.url_for(path)
    with vcr.use_cassette(str(tmp_path / "cassette.yaml")):
        first = requests.get(url, stream=stream).content
    hits = site.hits
    with vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none"):
        assert first == requests.get(url, stream=stream).content
    with (
        vcr.use_cassette(str(tmp_path / "cassette.yaml"), record_mode="none", match_on=["uri"]),
        httpx.Client(transport=PoolTransport(installed), follow_redirects=True) as client,
    ):
        assert first == client.get(url).content
    assert hits == site.hits


@responses.activate
def test_threads_share_a_mock(installed):
    """Forty threads of requests.get under one mock: none reaches the pool."""
    responses.get("http://service.invalid/", body="mocked")
    with ThreadPoolExecutor(40) as threads:
        answers = threads.map(lambda _: requests.get("http://service.invalid/").text, range(200))
        assert {"mocked"} == set(answers)
    assert 0 == installed.stats().submitted
