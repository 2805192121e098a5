"""A response that users of requests know: truth, character sets, links, reading it as a stream, errors that say where."""

import codecs
import copy
import importlib
import io
import json
import pickle
import random
import shutil
import sys

import pytest
import requests
from multidict import CIMultiDict, CIMultiDictProxy

import workerpool
from workerpool import HTTPStatusError, JSONDecodeError, Request, RequestError, Response, Result
from workerpool.messages.links import parse_links
from workerpool.messages.response import charset


def response(content=b"", kind=None, status=200, **headers):
    fields = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    if kind is not None:
        fields["Content-Type"] = kind
    request = Request("GET", "http://user:SECRET@host/p?token=SECRET")
    return Response(request, "http://user:SECRET@host/p?token=SECRET", status, "", CIMultiDictProxy(fields), content)


@pytest.mark.parametrize(
    ("status", "good"), [(200, True), (204, True), (302, True), (399, True), (400, False), (404, False), (500, False)]
)
def test_truth_and_ok_have_one_meaning(status, good):
    """As in requests: a response is true below 400, a Result is ok where its response is."""
    answer = response(status=status)
    assert (good, good, good) == (bool(answer), answer.ok, Result(0, answer.request, answer, None).ok)


def test_a_result_with_an_error_is_not_ok():
    """There is no response that could be."""
    assert not Result(0, "nonsense", None, RequestError("no")).ok
    assert "404" in repr(Result(0, "x", response(status=404), None))
    assert "no" in repr(Result(0, "x", None, RequestError("no")))


def test_raise_for_status_returns_the_response(pool, shared_site):
    """So that calls can be chained; a StreamedResponse is returned as itself."""
    with pytest.raises(HTTPStatusError) as caught:
        pool.get(shared_site.url_for("/status/404")).raise_for_status()
    assert 404 == caught.value.response.status
    assert "fast" in pool.get(shared_site.url_for("/fast/1")).raise_for_status().text
    with pool.stream("GET", shared_site.url_for("/fast/1")) as stream:
        assert stream is stream.raise_for_status()


TEXT = "Größe €, naïve “quotes”"
META = '<html><head><meta charset="{}"></head>'
PAGES = [
    (TEXT.encode(), "text/html", "utf-8"),
    (TEXT.encode(), None, "utf-8"),
    (TEXT.encode("cp1252"), "text/html; charset=windows-1252", "windows-1252"),
    (TEXT.encode("utf-8-sig"), "text/html; charset=iso-8859-1", "utf-8-sig"),
    (TEXT.encode("utf-16"), "text/plain", "utf-16"),
    (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "text/plain; charset=utf-16", "utf-16"),
    (TEXT.encode("utf-32"), "text/plain", "utf-32"),
    (codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), None, "utf-32"),
    ((META.format("windows-1252") + TEXT).encode("cp1252"), "text/html", "windows-1252"),
    ((META.format("ISO-8859-1") + TEXT).encode("cp1252"), "text/html", "cp1252"),
    ((META.format("Shift_JIS") + "①日本").encode("cp932"), "application/xhtml+xml", "cp932"),
    ((META.format("gb2312") + "中文€").encode("gb18030"), "text/html", "gb18030"),
    ((META.format("utf-16") + TEXT).encode(), "text/html", "utf-8"),
    (b"<!-- <meta charset=koi8-r> -->" + (META.format("utf-8") + TEXT).encode(), "text/html", "utf-8"),
    ('<META http-equiv="Content-Type" content="text/html; charset=koi8-r">Привет'.encode("koi8-r"), "text/html", "koi8-r"),
    (("<?xml version='1.0' encoding='iso-8859-15'?><a>€</a>").encode("iso-8859-15"), "application/rss+xml", "iso-8859-15"),
    (("<meta charset=koi8-r>" + TEXT).encode(), "text/plain", "utf-8"),
    ((META.format("nonsense") + TEXT).encode(), "text/html", "utf-8"),
    (TEXT.encode(), "text/html; charset=nonsense", "utf-8"),
    (TEXT.encode(), "text/html; charset=hex", "utf-8"),
    (TEXT.encode(), "text/html; charset=punycode", "utf-8"),
    (TEXT.encode(), "text/html; charset=unicode_escape", "utf-8"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "kind", "encoding"), PAGES)
def test_the_character_set_is_found(content, kind, encoding):
    """A mark goes before what is declared, and that before what the page says; what Python does not know is passed over."""
    answer = response(content, kind)
    assert encoding == answer.encoding
    assert content.decode(encoding, "replace") == answer.text
    assert "\ufffd" not in answer.text
    assert not answer.text.startswith("\ufeff")


def test_the_encoding_may_be_chosen():
    """As in requests; it only changes how this response is decoded, and travels with a pickle."""
    answer = response(TEXT.encode("cp1252"), "text/html; charset=utf-8")
    assert "\ufffd" in answer.text
    answer.encoding = "cp1252"
    assert ("cp1252", TEXT) == (answer.encoding, answer.text)
    assert TEXT == pickle.loads(pickle.dumps(answer)).text == copy.copy(answer).text
    answer.encoding = None
    assert "utf-8" == answer.encoding
    for wrong in ("nonsense", "hex", 5, ""):
        with pytest.raises(ValueError, match="encoding must be"):
            answer.encoding = wrong


def test_nothing_else_may_be_set():
    """A response stays as it came."""
    answer = response(b"x")
    for name in ("content", "text", "status_code", "headers", "url", "history", "nonsense"):
        with pytest.raises(AttributeError):
            setattr(answer, name, "x")


def test_apparent_encoding_is_a_guess_from_the_bytes(monkeypatch):
    """UTF-8 where it fits, then the page's own word, then charset-normalizer's where it is installed."""
    assert "utf-8" == response(TEXT.encode(), "text/html; charset=koi8-r").apparent_encoding
    assert "utf-16" == response(TEXT.encode("utf-16")).apparent_encoding
    assert "koi8-r" == response("<meta charset=koi8-r>Привет".encode("koi8-r"), "text/html").apparent_encoding
    answer = response(("Всё хорошо, что хорошо кончается. " * 20).encode("cp1251"), "text/plain")
    answer.encoding = answer.apparent_encoding
    assert answer.text.startswith("Всё хорошо")
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert "cp1252" == response(TEXT.encode("cp1252")).apparent_encoding


def test_a_server_cannot_break_text():
    """Whatever the header says and the bytes are, there is a text."""
    chance = random.Random(5)
    names = [
        "utf-7",
        "idna",
        "undefined",
        "utf-16",
        "mbcs",
        "rot13",
        "",
        "\0",
        "*",
        "=?utf-8?q?x?=",
        "a" * 5000,
        *sorted(importlib.import_module("encodings.aliases").aliases),
    ]
    for name in names:
        for kind in (
            f"text/html; charset={name}",
            f'x; charset="{name}',
            f"x; charset*=utf-8''{name}",
            name,
            f"; charset*0={name}; charset*9={name}",
        ):
            content = chance.randbytes(50)
            assert isinstance(response(content, kind).text, str)
            assert isinstance(response(content + META.format(name).encode()).text, str)
            assert isinstance(charset(kind), str)


LINKS = [
    '<https://h/?page=2>; rel="next", <https://h/?page=9>; rel="last"',
    "<http:/.../front.jpeg>; rel=front; type=\"image/jpeg\",<http://.../back.jpeg>; rel=back;type=\"image/jpeg\"",
    "<https://h/a>",
    "<https://h/a>; rel='x'",
    "",
    "nonsense",
]  # fmt: skip


@pytest.mark.parametrize("header", LINKS)
def test_links_are_those_of_requests(header):
    """By relation, each with its URL and parameters."""
    theirs = requests.Response()
    theirs.headers["Link"] = header
    assert ({} if header == "nonsense" else theirs.links) == parse_links(header) == response(Link=header).links


def test_a_server_cannot_break_links_and_cookies():
    """Whatever the fields hold, there are links and cookies, and no header holds the thread."""
    chance = random.Random(9)
    pieces = ["<", ">", ";", ",", "=", '"', "\\", " ", "rel", "next", "http://h/", "a", "\udcff", "é", "\t"]
    for _ in range(3000):
        field = "".join(chance.choices(pieces, k=chance.randint(1, 30)))
        answer = response(Link=field, Set_Cookie=field)
        assert isinstance(answer.links, dict)
        assert isinstance(answer.cookies, dict)
    for piece in ("<", '<a>;a="', ";", "<a>", '<a>;a="\\', " ", "<a>;  ", "<a>;a=", ",<"):
        assert isinstance(parse_links(piece * 100_000), dict)


def test_links_hold_what_is_quoted():
    """Commas, semicolons and equal signs within quotes and URLs are no separators."""
    [(rel, link)] = parse_links('<http://h/?a=1,2;3>; rel="next"; title="a=b; c, \\"d\\""').items()
    assert ("next", "http://h/?a=1,2;3", 'a=b; c, "d"') == (rel, link["url"], link["title"])


def test_redirects_that_were_not_followed(pool, shared_site):
    """is_redirect and is_permanent_redirect are those of requests."""
    assert (True, False) == tuple(
        map(
            bool,
            (
                response(status=302, Location="/x").is_redirect,
                response(status=302, Location="/x").is_permanent_redirect,
            ),
        )
    )
    assert response(status=308, Location="/x").is_permanent_redirect
    assert not response(status=302).is_redirect
    assert pool.get(shared_site.url_for("/redirect/1"), allow_redirects=False).is_redirect
    assert not pool.get(shared_site.url_for("/redirect/1")).is_redirect


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_can_be_read_as_requests_reads_it(pool, shared_site, streamed):
    """iter_content, raw and iter_lines, in a `with` block, of a whole answer and of a streamed one."""

    def opened():
        url = shared_site.url_for("/large/256")
        return pool.stream("GET", url) if streamed else pool.get(url)

    content = pool.get(shared_site.url_for("/large/256")).content
    with opened() as answer:
        assert content == b"".join(answer.iter_content())
    with opened() as answer:
        pieces = list(answer.iter_content(100_000))
        assert (content, {100_000}) == (b"".join(pieces), {len(piece) for piece in pieces[:-1]})
    with opened() as answer:
        assert content == b"".join(answer.iter_content(chunk_size=None))
    with opened() as answer:
        assert content.decode("utf-8", "replace") == "".join(answer.iter_content(1000, decode_unicode=True))
    with opened() as answer:
        file = io.BytesIO()
        shutil.copyfileobj(answer.raw, file)
        assert content == file.getvalue()
    with opened() as answer:
        assert (content[:10], content[10:]) == (answer.raw.read(10), answer.raw.read())
    with opened() as answer:
        for wrong in (0, -1, "5", 1.5, True):
            with pytest.raises(ValueError, match="chunk_size"):
                list(answer.iter_content(wrong))
    answer.close()
    answer.close()


def test_lines_are_those_of_a_stream(pool, shared_site):
    """A whole answer and a streamed one have the same."""
    assert ['{"n": 3}'] == list(pool.get(shared_site.url_for("/gzip/3")).iter_lines())
    for content, lines in ((b"", []), (b"a", ["a"]), (b"a\n\nb\r\nc\rd\n", ["a", "", "b", "c", "d"]), (b"\n", [""])):
        assert lines == list(response(content).iter_lines())
    text = "a\u2028b\x85c\x0cd\x1ce"  # line ends to str.splitlines(), which JSON lines may hold
    assert [text] == list(response(text.encode()).iter_lines())


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_json_is_read_in_each_form_of_unicode(name):
    """As by requests, without a declaration."""
    assert {"ü": ["€"]} == response(
        json.dumps({"ü": ["€"]}, ensure_ascii=False).encode(name), "application/json"
    ).json()


def test_json_is_read_in_the_declared_or_chosen_set():
    """Where that is no form of Unicode."""
    content = '{"a": "ü"}'.encode("latin-1")
    assert {"a": "ü"} == response(content, "application/json; charset=iso-8859-1").json()
    answer = response(content, "application/json")
    with pytest.raises(JSONDecodeError, match="encoding"):
        answer.json()
    answer.encoding = "latin-1"
    assert {"a": "ü"} == answer.json()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>SECRET",
        b"{",
        b"[" * 200_000,
        b"\xff\xfe\xfd",
        b"1" * 5000,
        b"\x00",
        b'{"a": NaN, }',
        b"\xef\xbb\xbf",
    ],
)
def test_what_is_no_json_says_where_it_came_from(content):
    """The error is the pool's and json's; it names URL and status, tells no secret, and survives pickling."""
    answer = response(content, "text/html", status=404)
    with pytest.raises(json.JSONDecodeError) as caught:
        answer.json()
    error = caught.value
    assert isinstance(error, RequestError)
    assert isinstance(error, ValueError)
    assert "GET http://***@host/p?token=***: the body (404, 'text/html') is not JSON: " in str(error)
    assert "SECRET" not in str(error) + repr(error)
    assert ("http://***@host/p?token=***", "GET", 1, "body") == (error.url, error.method, error.attempts, error.stage)
    again = pickle.loads(pickle.dumps(error))
    assert (str(error), vars(error), error.doc, error.pos) == (str(again), vars(again), again.doc, again.pos)
    assert error.__context__ is None


def test_an_error_of_a_hook_is_its_own():
    """What json's options call may raise what it likes."""

    def hook(_pairs):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        response(b"{}").json(object_hook=hook)


def test_the_names_are_public():
    """And one root catches it."""
    assert issubclass(workerpool.JSONDecodeError, workerpool.RequestError)


def test_a_response_is_copied_whole():
    """By copy, deepcopy and pickle, the chosen encoding and repeated headers included."""
    answer = response("ü".encode("latin-1"), "text/plain", Link="<a>; rel=next")
    answer.encoding = "latin-1"
    assert b"\xfc" == answer.raw.read()
    for again in (copy.copy(answer), copy.deepcopy(answer), pickle.loads(pickle.dumps(answer))):
        assert ("ü", answer.links, answer.url, answer.headers) == (again.text, again.links, again.url, again.headers)
        assert b"\xfc" == again.raw.read()
