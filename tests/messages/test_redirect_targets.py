"""Where redirects lead: as browsers read a Location; what nobody can follow is the server's fault."""

import gzip

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from workerpool import ProtocolError, Request, RequestError, WorkerPool
from workerpool.messages.hop import Hop
from workerpool.messages.redirects import next_hop

BASE = "http://127.0.0.1:8080/a/b?q=1"
CANNOT_BE = [
    "http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://256.1.1.1/", "http://1.2.3.4.5/", "http://a..b/",
    "http://.invalid/", f"http://{'a' * 70}.test/", "ws://%25 ::1xn--[::1]@", "http://[::1/", "http://h:99999/", "http://h:0/",
    "http:", "http://", "http:///to", "//", "///to", "javascript:alert(1)", "http://\udcfc.test/", "https:/to", "ftp://h/",
]  # fmt: skip


def _led_to(location, base=BASE):
    hop = next_hop(Hop("GET", URL(base), CIMultiDict(), None), 302, {"Location": location})
    return str(hop.url)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("http:/to", "http://127.0.0.1:8080/to"),
        ("HTTP:to?x=1", "http://127.0.0.1:8080/a/to?x=1"),
        ("/to", "http://127.0.0.1:8080/to"),
        ("?x=1", "http://127.0.0.1:8080/a/b?x=1"),
        ("//other/to", "http://other/to"),
        ("http://bücher.invalid/ä?ö=ü", "http://xn--bcher-kva.invalid/%C3%A4?%C3%B6=%C3%BC"),
        ("//bücher.invalid:81/", "http://xn--bcher-kva.invalid:81/"),
        ("/\udcfc?\udce4", "http://127.0.0.1:8080/%FC?%E4"),
        ("/a%2Fb?x=%2F&y=a+b", "http://127.0.0.1:8080/a%2Fb?x=%2F&y=a+b"),
        ("http://127.0.0.1/", "http://127.0.0.1/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://user:SECRET@h/", "http://h/"),
        ("http://user:SECRET@127.0.0.1:8080/to", "http://127.0.0.1:8080/to"),
        ("//user@127.0.0.1:8080/to#part", "http://127.0.0.1:8080/to#part"),
    ],
)
def test_a_location_is_read_as_browsers_do(location, target):
    """A host beyond ASCII goes by IDNA, what follows it is quoted, and what is quoted stays as it is."""
    assert target == _led_to(location)


@pytest.mark.parametrize(
    ("base", "location"),
    [
        ("https://h.test/", "https://h.test:443/to"),
        ("https://h.test:443/", "https://H.test/to"),
        ("http://h.test/", "http://h.test:80/to"),
        ("http://[::1]/", "http://[::1]:80/to"),
    ],
)
def test_a_default_port_is_the_same_origin(base, location):
    """Written out or not: headers and body go on."""
    before = Hop("POST", URL(base), CIMultiDict({"Authorization": "mine", "Cookie": "a=b"}), b"body")
    after = next_hop(before, 307, {"Location": location})
    assert (before.headers, b"body") == (after.headers, after.body)


@pytest.mark.parametrize("location", ["https://h.test:444/to", "https://g.test/to"])
def test_another_port_is_another_origin(location):
    """Credentials stay behind."""
    before = Hop("GET", URL("https://h.test/"), CIMultiDict({"Authorization": "mine"}), None)
    assert "Authorization" not in next_hop(before, 302, {"Location": location}).headers


@pytest.mark.parametrize("hooks", [(), (aiohttp.TraceConfig(),)], ids=["plain", "hooks"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("auth", [None, ("me", "mine")])
def test_userinfo_of_a_location_is_nobodys_credentials(workerpool_server, hooks, method, auth):
    """At the same origin, too: what was given goes on, or nothing."""
    site = workerpool_server
    location = f"{site.url}/echo".replace("://", "://theirs:SECRET@")
    site.reply("/", method=method, status=302, headers={"Location": location})
    with WorkerPool(retry=None, trace_configs=hooks) as pool:
        answer = pool.request(method, f"{site.url}/", auth=auth)
    assert (auth and "Basic bWU6bWluZQ==") == answer.json()["headers"].get("Authorization")
    assert f"{site.url}/echo" == str(answer.url)


@pytest.mark.parametrize("location", CANNOT_BE)
def test_a_location_that_cannot_be_followed_is_the_servers_fault(location):
    """Nothing but ProtocolError, and no secret in it."""
    with pytest.raises(ProtocolError, match="redirects to"):
        _led_to(location)


@pytest.mark.parametrize(
    "location",
    ["http://a..b/", "http://127.1/", "ws://%25 ::1xn--[::1]@", "http://exa mple/", "http://b%C3%BC.invalid/"],
)
def test_every_way_of_asking_raises_our_error(pool, workerpool_server, location):
    """By submit, a verb, a stream, in bulk."""
    workerpool_server.reply("/", status=302, headers={"Location": location})
    url = workerpool_server.url_for("/")

    def streamed():
        with pool.stream("GET", url):
            pass

    errors = [pool.submit(url).exception(), *(result.error for result in pool.fetch_many([url, Request("GET", url)]))]
    for ask in (lambda: pool.get(url), streamed):
        with pytest.raises(RequestError) as caught:
            ask()
        errors.append(caught.value)
    assert 5 == len([error for error in errors if isinstance(error, RequestError)])
    assert 1 == len({type(error) for error in errors})


@pytest.mark.parametrize(
    ("body", "coding", "content"),
    [
        (b"moved", "", b"moved"),
        (gzip.compress(b"moved"), "gzip", b"moved"),
        (gzip.compress(b"moved")[:-3], "gzip", b""),
        (gzip.compress(b"x" * 10_000_000), "gzip", b""),
        (b"x" * 65536, "", b"x" * 65536),
        (b"x" * 65537, "", b""),
        (b"", "gzip", b""),
    ],
    ids=["plain", "gzip", "damaged", "bomb", "largest", "too large", "nothing"],
)  # fmt: skip
def test_the_body_of_a_redirect_is_decoded_or_left_out(pool, workerpool_server, body, coding, content):
    """What is in the history is what the server said, whole, or nothing."""
    headers = {"Location": "/fast/1"} | ({"Content-Encoding": coding} if coding else {})
    workerpool_server.reply("/moved", status=302, headers=headers, body=body)
    answer = pool.get(workerpool_server.url_for("/moved"))
    assert 200 == answer.status_code
    assert content == answer.history[0].content
