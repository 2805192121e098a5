"""What a proxy is told: where to go, and who asks for it; nothing that is meant for the origin."""

import contextlib
import re
from base64 import b64encode

import aiohttp
import pytest
from proxies import Proxy, SocksProxy

from workerpool import InvalidRequest, ProxyError, WorkerPool

SECRETS = {"Authorization": "Bearer OSECRET", "X-Api-Key": "KSECRET"}
TOLD = ("OSECRET", "KSECRET", "CSECRET", "T1NFQ1JFVA")  # the last is OSECRET in a Basic value


async def fetch(session, url, **options):
    async with session.get(url, **options) as response:
        return await response.read()


def ways(pool, url):
    """Ask for the URL in each way that there is."""
    yield lambda: pool.get(url)
    yield lambda: pool.get(url, headers={"X-Own": "1"})
    yield lambda: pool.post(url, data=b"body")
    yield lambda: pool.submit(fetch, url).result()
    yield lambda: pool.websocket(url.replace("http", "ws", 1), timeout=20).__enter__()


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "secrets",
    [{"headers": SECRETS}, {"auth": ("u", "OSECRET"), "headers": {"X-Api-Key": "KSECRET"}}],
    ids=["headers", "auth"],
)
def test_a_tunnel_is_opened_without_the_origins_secrets(event_loop, secrets):
    """CONNECT carries neither Authorization nor keys nor cookies of the lane, whoever asks."""
    lane = {"event_loop": event_loop, "cookies": {"sid": "CSECRET"}, "retry": None, **secrets}
    with Proxy(forwards=False) as proxy, WorkerPool(proxy=proxy.url, **lane) as pool:
        for way in ways(pool, "https://127.0.0.1:9/"):
            with pytest.raises((ProxyError, aiohttp.ClientHttpProxyError)):
                way()
    assert 5 == len(proxy.seen)
    for head in proxy.seen:
        assert head.startswith("CONNECT 127.0.0.1:9 HTTP/1.1\r\n")
        assert [] == [secret for secret in TOLD if secret in head]
        assert "authorization" not in head.lower()
        assert "cookie" not in head.lower()


@pytest.mark.parametrize("secrets", [{"headers": SECRETS}, {"auth": ("u", "OSECRET"), "headers": {"X-Api-Key": "K"}}])
def test_a_plain_request_by_proxy_keeps_its_authorization(secrets):
    """It is the origin's, in `Authorization`; the proxy gets no `Proxy-Authorization` of it."""
    with Proxy() as proxy, WorkerPool(proxy=proxy.url, cookies={"sid": "CSECRET"}, **secrets) as pool:
        for way in list(ways(pool, "http://origin.test/a"))[:4]:
            way()
    assert 4 == len(proxy.seen)
    for head in proxy.seen:
        assert "http://origin.test/a HTTP/1.1\r\n" in head
        assert "proxy-authorization" not in head.lower()
        assert 1 == head.count("\r\nAuthorization: ")


@pytest.mark.parametrize("url", ["https://127.0.0.1:9/", "http://origin.test/"])
def test_the_proxys_own_credentials_go_to_the_proxy(url):
    """Those of the lane's proxy URL, beside the origin's."""
    with Proxy(forwards=False) as proxy:
        with_user = proxy.url.replace("://", "://me:mine@")
        with WorkerPool(proxy=with_user, headers=SECRETS, retry=None) as pool:
            for way in list(ways(pool, url))[:4]:
                with contextlib.suppress(ProxyError, aiohttp.ClientHttpProxyError):
                    way()
    assert 4 == len(proxy.seen)
    for head in proxy.seen:
        assert 1 == head.count("\r\nProxy-Authorization: Basic bWU6bWluZQ==\r\n")


def test_a_proxy_authorization_of_the_lane_is_not_the_origins():
    """With https it goes into the CONNECT, and not through the tunnel."""
    own = {"Proxy-Authorization": "Basic bWU6bWluZQ=="}
    with Proxy(forwards=False) as proxy, WorkerPool(proxy=proxy.url, headers=own, retry=None) as pool:
        for way in ways(pool, "https://127.0.0.1:9/"):
            with pytest.raises((ProxyError, aiohttp.ClientHttpProxyError)):
                way()
        with pytest.raises(aiohttp.ClientHttpProxyError):
            pool.submit(fetch, "https://127.0.0.1:9/", proxy=proxy.url, proxy_headers={"X-Mine": "1"}).result()
    assert [1] * 6 == [head.count("\r\nProxy-Authorization: Basic bWU6bWluZQ==\r\n") for head in proxy.seen]
    assert "\r\nX-Mine: 1\r\n" in proxy.seen[-1]


@pytest.mark.parametrize("given_by", ["lane", "request"])
@pytest.mark.parametrize("by_socks", [False, True])
def test_a_proxy_authorization_goes_to_no_origin(given_by, by_socks, shared_site):
    """Where there is no http proxy it goes nowhere, whoever asks."""
    own = {"Proxy-Authorization": "Basic bWU6bWluZQ=="}
    for_all, for_each = (own, {"X-Own": "1"}) if given_by == "lane" else ({"X-Own": "1"}, own)
    url = shared_site.url_for("/echo")
    with contextlib.ExitStack() as stack:
        proxy = None
        if by_socks:
            pytest.importorskip("aiohttp_socks")
            proxy = stack.enter_context(SocksProxy()).url
        pool = stack.enter_context(WorkerPool(headers=for_all, proxy=proxy))
        for body in (
            pool.get(url, headers=for_each).content,
            pool.post(url, data=b"body", headers=for_each).content,
            pool.submit(fetch, url, headers=for_each).result(),
            *([] if given_by == "request" else [pool.get(url).content, pool.submit(fetch, url).result()]),
        ):
            assert b'"Host"' in body
            assert b"bWU6bWluZQ" not in body


def test_the_cookies_of_one_function_are_nobody_elses(pool, shared_site):
    """`cookies=` of one call are sent with that call only."""
    url = shared_site.url_for("/echo")
    assert b"SECRET" in pool.submit(fetch, url, cookies={"a": "SECRET"}).result()
    assert b"SECRET" not in pool.submit(fetch, url).result()
    with WorkerPool() as other:
        assert b"SECRET" not in other.submit(fetch, url).result()
        assert b"SECRET" not in other.post(url, data=b"x").content


@pytest.mark.parametrize("url", ["https://127.0.0.1:9/", "http://origin.test/"])
@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("us%40er:p%3Aw%2F", "us@er:p:w/"),
        ("%E2%82%AC:p%C3%A9", "€:pé"),
        ("me:", "me:"),
        ("me", "me:"),
        (":mine", ":mine"),
    ],
)
def test_credentials_are_sent_as_they_are_written(url, user, expected):
    """Percent-encoded or beyond Latin-1: as UTF-8 (RFC 7617, 2.1)."""
    basic = b64encode(expected.encode()).decode()
    with Proxy(forwards=False) as proxy:
        with WorkerPool(proxy=proxy.url.replace("://", f"://{user}@"), retry=None) as pool:
            for way in list(ways(pool, url))[:4]:
                with contextlib.suppress(ProxyError, aiohttp.ClientHttpProxyError):
                    way()
    assert [f"Basic {basic}"] * 4 == re.findall("\r\nProxy-Authorization: (.*)\r\n", "".join(proxy.seen))


@pytest.mark.parametrize("user", ["%E2%82%AC:x", "x:%C3%A9", "x:" + "y" * 256])
def test_a_socks_proxy_says_what_credentials_it_takes(user):
    """When the lane is made, without telling them."""
    pytest.importorskip("aiohttp_socks")
    with pytest.raises(InvalidRequest, match="ASCII") as caught:
        WorkerPool(proxy=f"socks5://{user}@h:1")
    assert user not in str(caught.value)
