"""The embedded site: what its pages promise, its counters, its start and its end."""

import asyncio
import gc
import gzip
import re
import socket
import threading

import pytest
from aiohttp import web

from workerpool.testing import Site

HREF = re.compile(r'href="([^"]+)"')


def test_fast_pages_are_1_kib_and_name_themselves(pool, shared_site):
    """The same page is the same every time, and another one is another."""
    one, again, two = (pool.get(shared_site.url_for(f"/fast/{n}")).content for n in (1, 1, 2))
    assert (1024, True) == (len(one), one.startswith(b"fast page 1 "))
    assert one == again != two


def test_the_index_leads_to_pages_that_are_there(pool, shared_site):
    """Every link of the index answers; only the two that say so do it with an error."""
    links = HREF.findall(pool.get(shared_site.url).text)
    refused = {link for link in links if not pool.get(shared_site.url_for(link), retry=None).ok}
    assert {"/page/0", "/echo", "/cookies"} <= set(links)
    assert {"/status/404", "/flaky/1"} >= refused


def test_a_crawl_finds_the_whole_tree(pool, shared_site):
    """From /page/0 all 31 pages are reached, each by one link, and there the tree ends."""
    to_do, found = ["/page/0"], []
    while to_do:
        path = to_do.pop()
        found.append(path)
        to_do += HREF.findall(pool.get(shared_site.url_for(path)).text)
    assert sorted(f"/page/{n}" for n in range(31)) == sorted(found)
    assert 404 == pool.get(shared_site.url_for("/page/31")).status_code


def test_slow_pages_wait_as_asked(pool, shared_site):
    """The delay is a number of seconds; what is none is the asker's mistake."""
    assert "slow page 7" == pool.get(shared_site.url_for("/slow/7?delay=0")).text
    assert [400, 400, 400] == [
        pool.get(shared_site.url_for(f"/slow/7?delay={delay}")).status_code for delay in ("soon", "nan", "inf")
    ]


def test_flaky_pages_fail_once_for_each_number(pool, site):
    """The first ask of each number is refused with 503, later ones are not."""
    asked = [pool.get(site.url_for(f"/flaky/{n}"), retry=None).status_code for n in (1, 1, 2, 1, 2)]
    assert [503, 200, 503, 200, 200] == asked


def test_flaky_pages_are_counted_for_each_site(pool, site, shared_site):
    """What one site was asked the other does not know."""
    pool.get(shared_site.url_for("/flaky/77"))
    assert 503 == pool.get(site.url_for("/flaky/77"), retry=None).status_code


def test_redirects_count_down_to_a_fast_page(pool, shared_site):
    """/redirect/N leads over N - 1 and so on to /fast/0."""
    response = pool.get(shared_site.url_for("/redirect/2"))
    assert ["/redirect/2", "/redirect/1", "/redirect/0"] == [
        hop.url.rpartition(shared_site.url)[2] for hop in response.history
    ]
    assert (302, b"fast page 0 ") == (response.history[0].status_code, response.content[:12])


def test_gzip_pages_are_gzip_on_the_wire(shared_site):
    """The body travels encoded, and says so."""
    with socket.create_connection(("127.0.0.1", int(shared_site.url.rpartition(":")[2])), timeout=10) as wire:
        wire.sendall(b"GET /gzip/3 HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
        head, _, body = wire.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert b'{"n": 3}' == gzip.decompress(body)


@pytest.mark.parametrize("kib", [0, 1, 64, 65, 200])
def test_large_pages_have_the_size_asked_for(pool, shared_site, kib):
    """So many KiB come, streamed: without a length in front."""
    response = pool.get(shared_site.url_for(f"/large/{kib}"))
    assert b"x" * 1024 * kib == response.content
    assert "Content-Length" not in response.headers


def test_status_pages_have_the_status_asked_for(pool, shared_site):
    """Any method, any status from 200 to 599; what is no status is not there."""
    assert [204, 418, 599] == [pool.get(shared_site.url_for(f"/status/{n}")).status_code for n in (204, 418, 599)]
    assert 500 == pool.post(shared_site.url_for("/status/500")).status_code
    assert [404, 404] == [pool.get(shared_site.url_for(f"/status/{n}")).status_code for n in (100, 999)]


def test_echo_tells_what_was_sent(pool, shared_site):
    """Method, headers, arguments, body and its length come back."""
    seen = pool.put(shared_site.url_for("/echo?q=tea"), data=b"leaves", headers={"X-Tag": "7"}).json()
    assert ("PUT", {"q": "tea"}, "leaves", 6) == (seen["method"], seen["args"], seen["body"], seen["length"])
    assert "7" == seen["headers"]["X-Tag"]


def test_cookies_are_set_and_told(pool, shared_site):
    """What /cookies/set was asked to set comes back from /cookies; a name that cannot be is refused."""
    with pool.session() as browser:
        browser.get(shared_site.url_for("/cookies/set?a=1&b=2"))
        assert {"a": "1", "b": "2"} == browser.get(shared_site.url_for("/cookies")).json()
    assert 400 == pool.get(shared_site.url_for("/cookies/set?a;b=1")).status_code


@pytest.mark.parametrize("path", ["/fast/x", "/redirect/-1", "/large/much", "/none"])
def test_a_page_that_is_not_there_is_404(pool, shared_site, path):
    """A wrong path is the asker's mistake, never a fault of the site."""
    assert 404 == pool.get(shared_site.url_for(path)).status_code


def test_the_counters_tell_hits_and_the_most_at_once(pool, site):
    """All requests are counted, and how many were being served together."""
    jobs = [pool.submit(site.url_for(f"/hold/{n}")) for n in range(5)]
    site.wait_in_flight(5)
    site.release()
    assert all(job.result().ok for job in jobs)
    pool.get(site.url_for("/none"))
    assert (6, 5) == (site.hits, site.max_in_flight)


def test_a_failed_start_reaches_the_caller(monkeypatch):
    """No port, no site: the caller gets the error and no thread is left."""

    async def refuse(self):
        raise OSError("no port is free")

    monkeypatch.setattr(web.SockSite, "start", refuse)
    before = threading.active_count()
    with pytest.raises(OSError, match="no port is free"), Site():
        pass
    assert before == threading.active_count()


def test_a_failure_before_the_loop_reaches_the_caller(monkeypatch):
    """A loop that cannot be made is told as well, instead of letting the caller wait for ever."""

    def refuse():
        raise OSError("no file descriptor is free")

    monkeypatch.setattr(asyncio.events, "new_event_loop", refuse)
    with pytest.raises(OSError, match="no file descriptor is free"), Site():
        pass
    gc.collect()  # a coroutine that nobody awaited would be told here, and not in another test


def test_the_end_takes_the_thread_and_the_port_along(pool):
    """After the block nobody listens, also with requests under way; ending twice is allowed."""
    before = threading.active_count()
    with Site() as site:
        job = pool.submit(site.url_for("/hold/1"), retry=None)
        site.wait_in_flight(1)
    site.__exit__()
    assert job.exception(timeout=10) is not None
    assert before == threading.active_count()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2])), timeout=10)
