"""Fields of answers, and what says where they are."""

import pytest
from pages import answer

from workerpool.scraping.extracting import Extractor, extract, parse_fields
from workerpool.scraping.patterns import compiled

PAGE = '<title> A\n b</title><p class=p data-x="9" hidden>One <b>two</b></p><p>Three</p>'
JSON = '{"a": {"b": [1, {"c.d": "x"}], "n": null}, "": 0}'


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("css:title", "A b"),
        ("css:.p", "One two"),
        ("css:p.p::text", "One two"),
        ("css:.p::attr(data-x)", "9"),
        ("css:.p::attr( DATA-X )", "9"),
        ("css:.p::attr(hidden)", ""),
        ("css:.p::attr(none)", None),
        ("css:b::html", "<b>two</b>"),
        ("css:h1", None),
        ("css:p:nth-child(2)", "Three"),
        ("css-all:p", ["One two", "Three"]),
        ("css-all:h1", []),
        ("header:etag", '"1"'),
        ("header:None", None),
        (r"regex:data-x=.(\d)", "9"),
        (r"regex:T\w+", "Three"),
        (r"regex:nothing", None),
        (r"regex-all:<(\w)\b", ["p", "b", "p"]),
        ("json:a", None),
    ],
)
def test_a_field_of_a_page(spec, value):
    """The first that fits, or all."""
    assert {"x": value} == extract(answer(PAGE, ETag='"1"'), {"x": spec})


@pytest.mark.parametrize(
    ("spec", "value"),
    [("a.b.0", 1), ("a.b.-1", {"c.d": "x"}), (r"a.b.1.c\.d", "x"), ("a.b.2", None), ("a.b.x", None), ("a.n", None), ("a.n.x", None),
     ("a.b.0.x", None), ("a.b." + "9" * 9, None)],
)  # fmt: skip
def test_a_field_of_json(spec, value):
    """By keys and numbers."""
    assert {"x": value} == extract(answer(JSON, kind="application/json"), {"x": f"json:{spec}"})


def test_hostile_bodies_have_no_fields():
    """And raise nothing."""
    fields = {"c": "css:a", "j": "json:a", "r": "regex:x+y"}
    for body in (b"", b"\0\xff" * 1000, b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}", b"<div>" * 100_000):
        assert {"c": None, "j": None, "r": None} == extract(answer(body), fields)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("title", "NAME=KIND:WHERE"),
        ("title=", "must begin with one of css:"),
        ("title=css", "must begin with one of css:"),
        ("title=css:", "nothing behind css:"),
        ("title=xpath://a", "must begin with one of css:"),
        ("title=css:a[", "no CSS selector"),
        ("title=css:a::foo", "text, html or attr"),
        ("title=css:a::attr()", "text, html or attr"),
        ("title=css:a::attr(x)::text", "text, html or attr"),
        ("title=json:a..b", "empty step"),
        ("title=json:.", "empty step"),
        ("title=header:a b", "no name of a header"),
        ("title=regex:(", "no regular expression"),
        ("title=regex:(a+)+b", "may never end"),
        ("1=css:a", "begins with a letter"),
        ("a b=css:a", "begins with a letter"),
        ("=css:a", "begins with a letter"),
    ],
)
def test_what_cannot_be_understood_is_refused(given, text):
    """With the field, and what would be right."""
    with pytest.raises(ValueError, match=text):
        parse_fields([given])


def test_fields_are_parsed_once():
    """And their names differ."""
    fields = parse_fields(["a=css:title", "b = regex:a=b"])
    assert {"a": "css:title", "b": " regex:a=b"} == fields
    assert {"a": "A b", "b": None} == Extractor(fields).extract(answer(PAGE))
    with pytest.raises(ValueError, match="two fields"):
        parse_fields(["a=css:a", "a=css:b"])


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|b)*", "(a?a?)*", "((a+)b)+", "(a+){9}", "(?i:a+)*", "(?P<x>a*)+", "(?:a{2,})+", "(a{1,3})+", "((a|b))+", "(?=(a+)+)"])  # fmt: skip
def test_patterns_that_may_never_end_are_refused(pattern):
    """Nobody can stop one that runs."""
    with pytest.raises(ValueError, match="may never end"):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["a+b*", r"(\d+)-(\d+)", "(?:a|b)*+", "(?>a+)*", "(?:a++)*", "[(a+)*]+", r"\(a+\)+", "(abc)+", "(a+)?", "(a|b)", r"https?://[^/]+/.*", r"[]+]+", r"[^]+)]*(a)"])  # fmt: skip
def test_other_patterns_are_taken(pattern):
    """Possessive and atomic ones among them."""
    assert pattern == compiled(pattern).pattern
