"""What is given is what is sent: URLs, params, forms and files as requests sends them, or refused at the call."""

import io
import re
from collections import UserDict
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest
import requests
from servers import Scripted, ok

from workerpool import InvalidRequest, Lane, ProtocolError, Rate, Request, WorkerPool

URL = "http://host/p"
VALUES = [
    Decimal("19.99"), Fraction(7, 2), UUID(int=5), date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, tzinfo=UTC), True, False, b"by\xfftes",
    "a b&c=d/é:", 1.5, -3, 10**30, None, [1, "b", None, b"c"], (True, None), [], ["a b", [1, 2]], {"in": 1}, range(3), "", "+", "~*",
]  # fmt: skip


def prepared(url, **options):
    return requests.Request("POST", url, **options).prepare()


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_params_are_those_of_requests(value):
    """Each kind of value gives the same query string, whatever form it is given in."""
    for params in ({"x": value, "y": 1}, [("x", value), ("x", "2")], UserDict(x=value), {"x": value, b"by tes": "z"}):
        for url in (URL, URL + "?a=%2F", URL + "?", URL + "/ü?ü"):
            expected = prepared(url, params=params).url.partition("?")[2]
            assert expected == Request("GET", url, params=params).target.raw_query_string


@pytest.mark.parametrize("params", ["a=b c&d=%2F", b"a=b", "", {}, [], [["a", 1]], {"": ""}, {1: 2}])
def test_other_forms_of_params_are_those_of_requests(params):
    """A str is a query already; nothing adds nothing."""
    assert prepared(URL, params=params).path_url == Request("GET", URL, params=params).target.raw_path_qs


@pytest.mark.parametrize(
    "url",
    [
        "http://h/?e=%2F&t=%41%7e%7E+a%20b",
        "http://h/a%2Fb/c%2fd;p=1?x",
        "http://h/?sig=a%2Bb%3D%3D&k=[]'(),;:@/?",
        "http://h/%E2%82%AC?%e2%82%ac",
        "http://h/.well-known/x?y=%2e%2e",
        "http://user:p%40ss@h:81/%2F",
        "https://xn--bcher-kva.de/%20",
        "http://[::1]:8080/%2F",
        "http://h/?x=a|b",
    ],
)
def test_percent_encoding_is_kept(url):
    """A signed URL stays as it was signed."""
    target = Request("GET", url).target
    sent = url.replace("|", "%7C")
    assert sent == str(target)
    assert re.sub("https?://[^/]*", "", sent) == target.raw_path_qs


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://h/a b?c d=e f", "/a%20b?c%20d=e%20f"),
        ("http://h/ü?ü#ü", "/%C3%BC?%C3%BC"),
        ("http://h/100%?a=%zz%2", "/100%25?a=%25zz%252"),
        ('http://h/<>"{}|\\^`', "/%3C%3E%22%7B%7D%7C%5C%5E%60"),
        ("http://h/a/../b/./c%2F", "/b/c%2F"),
        ("HTTP://H", "/"),
        ("http://h?a", "/?a"),
        ("http://h/?a?b/c:d@e", "/?a?b/c:d@e"),
    ],
)
def test_only_what_cannot_be_sent_is_quoted(url, sent):
    """As requests quotes it."""
    assert sent == Request("GET", url).target.raw_path_qs
    if "%z" not in url:
        assert sent == requests.Request("GET", url).prepare().path_url


@pytest.mark.parametrize("url", ["http://bücher.de/", "http://日本語.jp/", "http://BÜCHER.de./x"])
def test_hosts_beyond_ascii_go_by_idna(url):
    """The DNS is asked for the same name as by requests."""
    expected = requests.utils.urlparse(requests.Request("GET", url).prepare().url).hostname
    assert expected == Request("GET", url).target.raw_host


@pytest.mark.parametrize("host", ["a..b", ".invalid", "a" * 70, "x." + "a" * 64 + ".de", "ü" * 70, "ü." * 50_000])
def test_a_host_that_nothing_can_look_up_is_refused(pool, host):
    """By the verbs, by functions of the pool, by WebSockets, at the call."""
    for way in (pool.get, pool.submit, Request, lambda url: pool.stream("GET", url).__enter__()):
        with pytest.raises(InvalidRequest, match=r"host|URL"):
            way(f"http://{host}/")
    with pytest.raises(InvalidRequest):
        Request.prepared("GET", f"http://{host}/", [], None)


def test_the_wire_sees_the_url_as_it_was_given(pool):
    """Also below a base_url, whose escapes stay as well."""
    empty = ok(b"", b"Connection: close")
    with Scripted([empty], again=True) as server:
        place = server.url.removesuffix("/")
        with pool.session(base_url=f"{place}/projects/group%2Fname") as api:
            api.get("files/a%2Fb?e=%2F", timeout=20)
            api.get("", timeout=20)
        pool.get(f"{place}/%7E?e=%2F", params={"x": Decimal("1.50")}, timeout=20)
        pool.post(f"{place}/é", params={"x": ["ä", "b c"]}, timeout=20)
        with pytest.raises(ProtocolError), pool.websocket(f"{place}/%7E?e=%2F".replace("http", "ws"), timeout=20):
            pass
    assert [
        b"GET /projects/group%2Fname/files/a%2Fb?e=%2F HTTP/1.1",
        b"GET /projects/group%2Fname/ HTTP/1.1",
        b"GET /%7E?e=%2F&x=1.50 HTTP/1.1",
        b"POST /%C3%A9?x=%C3%A4&x=b+c HTTP/1.1",
        b"GET /%7E?e=%2F HTTP/1.1",
    ] == [request.split(b"\r\n")[0] for request in server.seen]


def multipart(request_body, content_type):
    boundary = content_type.partition("boundary=")[2].encode()
    return request_body.replace(boundary, b"BOUNDARY")


class Named(io.BytesIO):
    def __init__(self, content, name):
        super().__init__(content)
        self.name = name


FILES = [
    lambda: {"f": b"x"},
    lambda: {"f": "text ü"},
    lambda: {"f": bytearray(b"x")},
    lambda: {"f": io.BytesIO(b"x")},
    lambda: {"f": Named(b"x", "/some/where/a.txt")},
    lambda: {"f": Named(b"x", "<stdin>")},
    lambda: {"f": Named(b"x", 7)},
    lambda: {"f": io.StringIO("ü")},
    lambda: {"f": (None, "v")},
    lambda: {"f": ("", b"x")},
    lambda: {"f": ("ü.txt", b"x")},
    lambda: {"f": ('a"b.txt', b"x")},
    lambda: {"f": ("a.txt", b"x", "text/plain")},
    lambda: {"f": ("a.txt", b"x", "text/plain", {"X-A": "b"})},
    lambda: {"f": 5},
    lambda: {"f": ("n", 3_000_000)},
    lambda: {"f": None, "g": b"x"},
    lambda: {"ü": b"x", 'q"': b"y"},
    lambda: [("f", b"x"), ("f", ("b", b"y"))],
]


@pytest.mark.parametrize("files", FILES)
@pytest.mark.parametrize("data", [None, {"a": None, "b": 1, "c": ["x", None, b"\xff"]}, [("a", "1"), ("a", True)]])
def test_files_are_those_of_requests(files, data):
    """Byte for byte, but for the boundary."""
    expected = prepared(URL, files=files(), data=data)
    request = Request("POST", URL, files=files(), data=data)
    kind = dict(request.headers)["Content-Type"]
    assert multipart(expected.body, expected.headers["Content-Type"]) == multipart(request.body, kind)


def test_a_form_with_files_arrives(pool, site):
    """It is one body with a length, and may be sent again."""
    request = Request("POST", site.url_for("/echo"), files={"f": ("ü.txt", b"\x00\xff")}, data={"k": b"v"})
    assert request.replayable
    seen = pool.submit(request).result().json()
    assert str(len(request.body)) == seen["headers"]["Content-Length"]
    assert seen["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize(
    "data",
    [
        {"a": None, "b": 1},
        {"a": [1, None, "x"]},
        [("a", 1), ("a", b"\xff")],
        [["a", 1]],
        (("a", Decimal("1.0")),),
        {"a": {"b": 1}},
    ],
    ids=repr,
)
def test_forms_are_those_of_requests(data):
    """None is left out, as in params."""
    request = Request("POST", URL, data=data)
    assert prepared(URL, data=data).body.encode() == request.body
    assert "application/x-www-form-urlencoded" == dict(request.headers)["Content-Type"]


@pytest.mark.parametrize("data", [{}, [], (), {"a": None}])
def test_an_empty_form_is_no_body(data):
    """As in requests: neither a body nor its type."""
    request = Request("POST", URL, data=data)
    assert (None, ()) == (request.body, request.headers)


def test_a_post_without_body_has_no_type(pool, shared_site):
    """Nothing is said of what is not there."""
    seen = pool.post(shared_site.url_for("/echo")).json()
    assert "Content-Type" not in seen["headers"]
    assert "0" == seen["headers"]["Content-Length"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files": {"f": Path("/etc/hostname")}}, "open(path, 'rb')"),
        ({"files": {"f": 1.5}}, "'f'"),
        ({"files": {"a\r\nb": b"x"}}, "control character"),
        ({"files": {"f": ("a\nb", b"x")}}, "a file name"),
        ({"files": {"f": ("a", b"x", "text/plain\r\nX: y")}}, "content type"),
        ({"files": {"f": ("a", b"x", "t/p", {"X": "a\r\nb"})}}, "header"),
        ({"files": {"f": ("\ud800", b"x")}}, "surrogate"),
        ({"files": {"f": b"x"}, "data": "text"}, "data beside files"),
        ({"files": {"f": b"x"}, "data": {"a\n": "b"}}, "field's name"),
        ({"files": {"f": b"x"}, "headers": {"Content-Type": "multipart/form-data"}}, "leave Content-Type out"),
        ({"files": "name"}, "files must be"),
        ({"files": 5}, "files must be"),
        ({"files": ["a"]}, "files must be"),
        ({"files": {"f": ("a",)}}, "(filename, content)"),
        ({"data": [1, 2]}, "data must be"),
        ({"data": [b"x", 2]}, "data must be"),
        ({"data": object()}, "data must be"),
        ({"data": Path("/etc/hostname")}, "open(path, 'rb')"),
        ({"data": {"a": object()}}, "no text of its own"),
        ({"data": "\ud800"}, "data holds"),
        ({"params": {"a": object()}}, "params"),
        ({"params": {"a": "\ud800"}}, "params"),
        ({"params": ["a"]}, "params"),
        ({"params": 5}, "params"),
        ({"params": {None: 1}}, "params"),
        ({"params": [("a", 1, 2)]}, "a tuple of 3"),
        ({"headers": {"X": "\ud800"}}, "headers"),
        ({"headers": ["X: a"]}, "headers must be"),
        ({"headers": "a"}, "headers must be"),
        ({"headers": {"X": b"\xff"}}, "headers"),
        ({"cookies": "a=1"}, "cookies must be a mapping"),
        ({"cookies": [("a", "1")]}, "cookies must be a mapping"),
        ({"cookies": {"a": 1}}, "cookies: the value of a must be a str"),
        ({"cookies": {1: "a"}}, "cookies: a name"),
        ({"auth": "user:pass"}, "headers={'Authorization': ...}"),
        ({"auth": ""}, "auth must be"),
        ({"auth": (1, 2)}, "each a str"),
        ({"auth": ["u", "p"]}, "auth must be"),
        ({"timeout": 10**400}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"allow_redirects": "no"}, "allow_redirects"),
        ({"max_body": "SECRET"}, "max_body"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(options, said):
    """At the call; the message names the argument and tells nothing of its value."""
    with pytest.raises(InvalidRequest) as caught:
        Request("POST", URL, **options)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_json_is_refused_by_name():
    """Nested without end, or of what JSON has not."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    own = []
    own.append(own)
    for value, said in (
        (deep, "nested too deeply"),
        (own, "json"),
        ({1, 2}, "json: Object of type set"),
        (float("nan"), "json"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            Request("POST", URL, json=value)


@pytest.mark.parametrize(
    ("first", "said"),
    [(None, "must be a str, not None"), (b"http://h/", "not bytes"), (Path("/"), "not PosixPath")],
)
def test_a_url_that_is_none_is_refused(pool, first, said):
    """The method is never taken for the URL."""
    for way in (pool.get, pool.post, lambda url: Request("GET", url), Request, lambda url: Request(url=url)):
        with pytest.raises(InvalidRequest, match=said):
            way(first)


def test_a_closed_file_is_refused(tmp_path):
    """At the call, where it was given."""
    with open(tmp_path / "f", "wb") as writable:
        with pytest.raises(InvalidRequest, match="not opened for reading"):
            Request("POST", URL, data=writable)
    with pytest.raises(InvalidRequest, match="closed already"):
        Request("POST", URL, data=writable)


def test_an_error_of_the_callers_own_is_the_cause():
    """A file that cannot be read is told by its own error."""

    class Broken(io.RawIOBase):
        def read(self, _size=-1):
            raise OSError("the disk is gone")

    with pytest.raises(InvalidRequest, match="files cannot be used: reading it raised OSError") as caught:
        Request("POST", URL, files={"f": Broken()})
    assert "the disk is gone" == str(caught.value.__cause__)


def test_bytes_are_sent_as_they_are(pool, shared_site):
    """Names and values of headers, names of params."""
    seen = pool.get(shared_site.url_for("/echo"), headers={b"X-A": "ü".encode()}).json()["headers"]
    assert "ü".encode() == seen["X-A"].encode("utf-8", "surrogateescape")


def test_an_array_is_a_body():
    """What holds bytes is sent as bytes."""
    from array import array

    assert b"\x01\x00\x02\x00" == Request("POST", URL, data=array("H", [1, 2])).body


def test_auth_may_be_a_ready_value():
    """A scheme and credentials; or a pair, also of bytes."""
    assert (("Authorization", "Bearer abc"),) == Request(URL, auth="Bearer abc").headers
    assert (("Authorization", "Basic dTpw"),) == Request(URL, auth=("u", b"p")).headers
    with pytest.raises(InvalidRequest, match="auth"):
        Lane("a", auth="user:pass")


def test_a_request_is_changed_by_replace():
    """dataclasses.replace keeps the body, and what described it goes with it."""
    request = Request("POST", URL, json={"a": 1}, headers={"X-A": "b"}, timeout=3, meta="mine", priority=2)
    moved = replace(request, url="http://other/?e=%2F", timeout=5)
    assert ("http://other/?e=%2F", request.body, request.headers) == (str(moved.target), moved.body, moved.headers)
    assert (5, "mine", 2) == (moved.timeout.total, moved.meta, moved.priority)
    assert request == replace(request)
    formed = replace(request, data={"b": 2}, params={"q": 1})
    assert (b"b=2", "q=1") == (formed.body, formed.target.raw_query_string)
    assert {"X-A": "b", "Content-Type": "application/x-www-form-urlencoded"} == dict(formed.headers)
    kept = Request.prepared("POST", "http://h/%41", [("X-A", "b")], b"x")
    assert kept == replace(kept)
    with pytest.raises(TypeError, match="use data="):
        Request("POST", URL, body=b"x")


def test_the_base_url_keeps_its_escapes():
    """Joining neither decodes nor encodes anew."""
    lane = Lane("a", base_url="https://host/projects/group%2Fname?")
    assert "https://host/projects/group%2Fname/x%2Fy" == str(lane.resolve(Request("x%2Fy")))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "ftp://h/"}, "base_url must be an http or https URL"),
        ({"base_url": "http://h/?a=1"}, "base_url must hold no query"),
        ({"base_url": b"http://h/"}, "base_url"),
        ({"base_url": "http://a..b/"}, "base_url"),
        ({"proxy": 5}, "proxy"),
        ({"proxy": "http://"}, "proxy"),
        ({"proxy": "http://h:99999"}, "proxy"),
        ({"trust_env": "x"}, "trust_env must be True or False"),
        ({"connections": 10**9}, "connections must be at most 1000000; 0 stands for no limit"),
        ({"per_host": 10**9}, "per_host"),
        ({"middlewares": [5]}, "middlewares"),
        ({"middlewares": 1}, "middlewares"),
        ({"trace_configs": [5]}, "trace_configs"),
        ({"trace_configs": "x"}, "trace_configs"),
        ({"cookies": True}, "cookies"),
        ({"headers": "x"}, "headers"),
        ({"auth": 5}, "auth"),
        ({"rate": "5"}, "rate"),
        ({"retry": 3}, "retry=Retry(attempts=3)"),
        ({"timeout": 10**400}, "timeout"),
        ({"event_loop": 5}, "event_loop"),
        ({"max_body": None}, "max_body"),
        ({"connections": None}, "connections"),
        ({"ssl": "ca.pem"}, "ssl"),
        ({"ssl": None}, "ssl"),
    ],
)
def test_a_lane_that_cannot_be_is_refused_by_name(options, said):
    """When it is made, and the message names the field."""
    with pytest.raises(InvalidRequest) as caught:
        Lane("a", **options)
    assert said in str(caught.value)
    with pytest.raises(InvalidRequest):
        WorkerPool(**options)


@pytest.mark.parametrize("name", [5, "", None, b"a", "a\nb", ["SECRET"]])
def test_a_lane_has_a_name(name):
    """A str that can be printed."""
    with pytest.raises(InvalidRequest, match="name") as caught:
        Lane(name)
    assert "SECRET" not in str(caught.value)


def test_a_context_for_servers_is_refused():
    """It could make no connection."""
    import ssl

    with pytest.raises(InvalidRequest, match="ssl"):
        Lane("a", ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    Lane("a", ssl=ssl.create_default_context())


def test_a_lanes_cookies_stay_as_they_were_checked():
    """Whatever becomes of the mapping that they were given in."""
    cookies = {"a": "b"}
    lane = Lane("a", cookies=cookies)
    cookies["a"] = "\r\n"
    assert {"a": "b"} == lane.cookies


def test_cookies_are_sent_as_requests_sends_them(pool, shared_site):
    """Spaces, commas and quotes are no harm; what ends a cookie is refused."""
    cookies = {"a": '{"x":1,"y":[2, 3]}', "b": '"x y"', "c": "ü=="}
    seen = pool.get(shared_site.url_for("/echo"), cookies=cookies).json()["headers"]["Cookie"]
    assert 'a={"x":1,"y":[2, 3]}; b="x y"; c=ü==' == seen


def test_a_forgotten_scheme_is_named():
    """Which is the most usual of mistakes."""
    with pytest.raises(InvalidRequest, match=r"such as https://example\.org/x, or the lane"):
        Lane("a").resolve(Request("example.org/x"))


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 5e-324},
        {"limit": 1e308, "per": 1e-300},
        {"limit": 1, "per": 1e308},
        {"limit": 1, "burst": 10**400},
        {"limit": 10**10},
    ],
)
def test_a_rate_that_no_clock_can_keep_is_refused(options):
    """It would let everything through, or nothing ever."""
    with pytest.raises(ValueError, match="rate"):
        Rate(**options)
    assert 10**9 == Rate(10**9, burst=10**9).limit


def test_the_scheme_of_a_proxy_may_be_written_large():
    """It is a SOCKS proxy all the same, and is told no HTTP."""
    lane = Lane("a", proxy=" SOCKS5://user:pass@host:1080")
    assert ("socks5://user:pass@host:1080", True) == (lane.proxy, lane.by_socks)
