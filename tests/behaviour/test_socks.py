"""SOCKS proxies: cancels, deadlines and a shutdown amid what happens behind them."""

from concurrent.futures import CancelledError

import pytest
from proxies import SocksProxy
from servers import Silent

from workerpool import DeadlineExceeded, WorkerPool
from workerpool.testing.scripted import TlsSite

pytest.importorskip("aiohttp_socks")


async def fetch(session, url):
    async with session.get(url) as response:
        return await response.read()


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("user", ["", "me:mine@"])
def test_a_cancel_amid_tls_ends_the_request_and_leaves_its_place(event_loop, user):
    """Behind the proxy a handshake that never ends: neither later requests nor the shutdown wait for it."""
    pytest.importorskip("trustme")
    with TlsSite() as site, Silent() as silent, SocksProxy() as proxy:
        url = proxy.url.replace("://", f"://{user}")
        there = f"https://127.0.0.1:{silent.port}/"
        lane = {"proxy": url, "ssl": site.ssl_context, "connections": 1, "event_loop": event_loop}
        with WorkerPool(**lane) as pool:
            for ask in (lambda: pool.submit(there), lambda: pool.submit(fetch, there)):
                job = ask()
                silent.wait_reached()
                job.cancel()
                with pytest.raises(CancelledError):
                    job.result()
                assert pool.get(f"{site.url}/fast/1", timeout=60).ok
            with pytest.raises(DeadlineExceeded):
                pool.get(there, timeout=0.2)
            assert pool.get(f"{site.url}/fast/1", timeout=60).ok
            pool.submit(there)
            silent.wait_reached()
            pool.shutdown(cancel_futures=True, timeout=0.1)
    assert proxy.seen


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
def test_a_cancel_amid_the_proxys_own_words_ends_the_request(event_loop, scheme):
    """A proxy that is silent holds nothing."""
    with Silent() as proxy, WorkerPool(proxy=f"{scheme}://127.0.0.1:{proxy.port}", event_loop=event_loop) as pool:
        for ask in (lambda: pool.submit("http://127.0.0.1:9/"), lambda: pool.submit(fetch, "http://127.0.0.1:9/")):
            job = ask()
            proxy.wait_reached()
            job.cancel()
            with pytest.raises(CancelledError):
                job.result()
        assert pool.drain(60)
