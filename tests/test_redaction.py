"""No secret in what is told of a URL, however it is malformed, nor in the refusal of any argument."""

import random

import pytest
from yarl import URL

from workerpool import InvalidRequest, Lane, Request
from workerpool.redaction import redact


def made_or_refused(make):
    """Return what a log would get to see of either."""
    try:
        made = make()
    except InvalidRequest as error:
        return " ".join([str(error), repr(error), repr(vars(error)), repr(error.__context__)])
    return "" if isinstance(made, URL) else repr(made)


@pytest.mark.parametrize(
    "url",
    [
        "user:SECRET@host/x", "http:\\\\user:SECRET@h", "http:/user:SECRET@h", "https//user:SECRET@h", "http:user:SECRET@h",
        "///user:SECRET@h/", "http://user:SEC/SECRET@h", "http://user:SEC?SECRET@h", "http://user:SEC#SECRET@h", "http://h/?SECRET",
        "http://h/?a=1&SECRET", "http://h/?SECRET=", "SECRET@host/x", "http://h/http://u:SECRET@o/p", "http://h/x;jsessionid=SECRET?y",
        "http://[::1/?SECRET", "http://u:SECRET@[::1", "http://h:99999/?x=SECRET", "http://user:SEC\\SECRET@h", "http://u:S@SECRET@h/",
        "ftp://u:SECRET@h/x", "ws://u:SECRET@h/x?a=SECRET", "/p?token=SECRET", "p?SECRET", "http://h/p#SECRET", "//u:SECRET@h/",
        " http://u:SECRET@h/", "http://u:SECRET@h\n/", "http://u:SECRET\n@h/", "http ://u:SECRET@h/", "http:// u:SECRET@h/", "HTTP://SECRET@h",
        "http://h/?=SECRET", "http://h/?a=SECRET#b", "user:SEC?RET@SECRET@h", "socks5://u:SECRET@h:1", "mailto:SECRET@h",
        "http://u:SECRET@h:port/", "http:///u:SECRET@h/", "://u:SECRET@h", "h:80:SECRET@x",
    ],
)  # fmt: skip
def test_nothing_secret_is_told_of_a_url(url):
    """Neither in what is shown of it, nor in the refusal of a request, a lane or a proxy."""
    assert "SECRET" not in redact(url)
    for make in (
        Request,
        lambda url: Lane("a", base_url=url),
        lambda url: Lane("a", proxy=url),
        lambda url: Lane("a").resolve(Request(url)),
    ):
        told = made_or_refused(lambda make=make: make(url))
        assert "SECRET" not in told


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pass@host:81/a/b?c=1&d=2#e", "http://***@host:81/a/b?c=***&d=***"),
        ("http://h/@user/x", "http://h/@user/x"),
        ("http://localhost:4873/@babel/core", "http://localhost:4873/@babel/core"),
        ("/@user/x?y=1", "/@user/x?y=***"),
        ("a/b", "a/b"),
        ("https://h", "https://h"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        (None, "<NoneType>"),
        ({"SECRET": 1}, "<dict>"),
        (URL("http://u:p@h/?a=1"), "http://***@h/?a=***"),
    ],
)
def test_the_rest_is_told(url, shown):
    """Whoever reads a log finds the place."""
    assert shown == redact(url)


def test_redact_never_raises():
    """Whatever it is given, a text comes out that holds no password."""
    chance = random.Random(7)
    pieces = [
        "http",
        "https",
        ":",
        "//",
        "/",
        "\\",
        "@",
        "user",
        ":SECRET@",
        "[",
        "]",
        "::1",
        "?",
        "#",
        "&",
        "=",
        ";",
        "%",
        "%zz",
        " ",
        "\n",
        "\0",
        "é",
        "\ud800",
        "99999",
    ]
    for _ in range(20_000):
        url = "".join(chance.choices(pieces, k=chance.randint(1, 9)))
        assert "SECRET" not in redact(url), ascii(url)


def test_a_long_url_holds_no_thread():
    """A megabyte of anything is read in one go."""
    for piece in (":", "@", ";", "/", "?", "&", "%", " ", "=;", ":@", "\\"):
        assert "SECRET" not in redact("http://u:SECRET@h/" + piece * 1_000_000)
        assert "SECRET" not in redact("u:SECRET@h" + piece * 1_000_000)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"Authorization: Bearer SECRET": "x"}}, {"headers": {"X": "SECRET\n"}}, {"headers": ["Authorization: SECRET"]},
        {"headers": {"X": ["SECRET"]}}, {"cookies": {"a=SECRET": "b"}}, {"cookies": {"a": "SECRET;"}}, {"cookies": "SECRET"},
        {"auth": "SECRET"}, {"auth": ("u", "SECRET", "x")}, {"auth": ("u:SECRET", "p")}, {"timeout": "SECRET"}, {"max_body": "SECRET"},
    ],
    ids=repr,
)  # fmt: skip
def test_no_refusal_tells_the_value(options):
    """Requests and lanes alike."""
    for make in (lambda **o: Request("POST", "http://h/", **o), lambda **o: Lane("a", **o)):
        with pytest.raises(InvalidRequest) as caught:
            make(**options)
        assert "SECRET" not in str(caught.value) + repr(caught.value) + repr(vars(caught.value))


def test_arguments_in_the_wrong_order_tell_nothing():
    """The URL in the place of the method, a token in the place of either."""
    for arguments in (
        ("http://u:SECRET@h/?SECRET", "GET"),
        ("SECRET token", "http://h/"),
        ("Bearer SECRET", "Bearer SECRET"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            Request(*arguments)
        assert "SECRET" not in str(caught.value) + repr(vars(caught.value))
