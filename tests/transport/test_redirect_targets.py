"""Where redirects lead: as browsers read a Location; what nobody can follow is the server's fault."""

import gzip

import pytest
from multidict import CIMultiDict
from yarl import URL

from workerpool import ProtocolError, Request, RequestError
from workerpool.messages.hop import Hop
from workerpool.transport.redirects import next_hop

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
    ],
)
def test_a_location_is_read_as_browsers_do(location, target):
    """A host beyond ASCII goes by IDNA, what follows it is quoted, and what is quoted stays as it is."""
    assert target == _led_to(location)


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
