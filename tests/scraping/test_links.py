"""Links, titles and texts of pages, the hostile ones included."""

import pytest
from pages import answer

from workerpool.scraping.links import Link, Page, canonical_of, links_of, text_of, title_of

BASE = "http://site.example/a/b"
KINDS = """
<html><head><title> One
 two </title><link rel="canonical" href="/c#f"><link rel=next href=n><link rel="alternate stylesheet" href=s.css>
<link rel="prev" href="p"><link rel=alternate hreflang=de href="//de.example/"><link rel=icon href=i.png>
<meta http-equiv="Refresh" content="5; URL='r?x=1'"><style>s</style></head>
<body><a href="1">x</a><map><area href=2></map><a href=3 rel="me NoFollow">y</a><iframe src="f"></iframe><script>no</script>
<a name=x>none</a><img src=p.png></body>
"""


def test_each_kind_of_link():
    """In the order of the page, absolute, without fragments."""
    found = [(link.kind, link.url.removeprefix("http://"), link.nofollow) for link in links_of(KINDS, BASE)]
    assert found == [
        ("canonical", "site.example/c", False),
        ("next", "site.example/a/n", False),
        ("prev", "site.example/a/p", False),
        ("alternate", "de.example/", False),
        ("refresh", "site.example/a/r?x=1", False),
        ("a", "site.example/a/1", False),
        ("area", "site.example/a/2", False),
        ("a", "site.example/a/3", True),
        ("frame", "site.example/a/f", False),
    ]


def test_what_else_a_page_tells():
    """Its title, its text, its own URL."""
    page = Page(KINDS, BASE)
    assert "One two" == page.title() == title_of(KINDS)
    assert "x y none" == page.text() == text_of(page)
    assert "http://site.example/c" == canonical_of(page)
    assert None is Page("").title()
    assert None is canonical_of("<p>", BASE)
    assert not page.is_cut


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "data:text/html,x", "mailto:a@b", "tel:1", "#top", "", "  ", "http://", "ftp://x/", "http://[", "http://[@/",
     "java\nscript:x", "blob:http://x/", "x" * 9000],
)  # fmt: skip
def test_what_leads_out_of_the_web_is_left_out(href):
    """Or nowhere."""
    assert [] == list(links_of(f'<a href="{href}">x</a>', BASE))


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("\n /x\t", "http://site.example/x"),
        ("?q", "http://site.example/a/b?q"),
        ("//other.example", "http://other.example"),
        ("../../../x", "http://site.example/x"),
        ("HTTPS://X.example/", "HTTPS://X.example/"),
        ("a&amp;b", "http://site.example/a/a&b"),
        ("ü x", "http://site.example/a/ü x"),
        ("/\ufffd\udcff", "http://site.example/\ufffd\ufffd\ufffd\ufffd"),
    ],
)
def test_links_are_joined_as_browsers_do(href, url):
    """With the page's URL."""
    assert [Link(url, "a")] == list(links_of(f'<a href="{href}">x</a>', BASE))


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("/d/", "http://site.example/d/x"),
        ("http://o.example/", "http://o.example/x"),
        ("data:,", "http://site.example/a/x"),
    ],
)
def test_a_base_element_counts(base, url):
    """If it is one of the web."""
    assert [url] == [link.url for link in links_of(f'<base href="{base}"><base href="/no/"><a href=x>', BASE)]


def test_meta_robots_is_said_of_each_link():
    """Nofollow, or none."""
    assert [True] == [
        link.nofollow for link in links_of('<meta name=ROBOTS content="noindex, NoFollow"><a href=x>', BASE)
    ]
    assert frozenset({"none"}) == Page("<meta name=robots content=none>").robots()


def test_a_response_knows_its_url_and_encoding():
    """No more is to be told."""
    response = answer("<a href='é'>x</a>".encode("latin-1"), kind="text/html; charset=iso-8859-1")
    assert ["http://site.example/a/é"] == [link.url for link in links_of(response)]


def test_their_number_is_bounded():
    """By what is asked for."""
    assert 10_000 == len(list(links_of("<a href=x></a>" * 20_000, BASE)))
    assert 3 == len(list(links_of("<a href=x></a>" * 20, BASE, most=3)))


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 200_000,
        "<div></x>" * 200_000,
        ("<div>" * 2000 + "</div>" * 2000) * 20,
        "<table><tr><td>" * 50_000,
        "<b><p>" * 50_000,
        "<a " + " ".join(f"a{number}" for number in range(200_000)) + ">",
        "<a " + " ".join(f"a{number}='{number}'" for number in range(50_000)) + ">",
        "<svg>" * 50_000 + "<a href=x>",
        "<" * 300_000,
        "<a x='<1' " + " ".join(f"a{number}" for number in range(100_000)) + ">",
        "<a ' " + " ".join(f"a{number}" for number in range(100_000)) + "> ' <p>",
        "<meta http-equiv=refresh content='" + " " * 500_000 + "x'>",
        "<textarea><script></textarea>" + "<div>" * 100_000,
        "<!--" * 100_000,
        "<a href='" + "x" * 500_000,
        "<a href=x" * 50_000,
        "&amp" * 200_000,
        "\0" * 300_000,
    ],
    ids=range(18),
)
def test_hostile_pages_end(html):
    """Within a time that grows with their length: the parser's alone grows with the square of the depth."""
    page = Page("<a href=first></a>" + html, BASE)
    assert "http://site.example/a/first" == next(page.links()).url
    assert page.text() is not None


def test_a_page_that_is_cut_says_so():
    """What comes before is there."""
    page = Page("<a href=x></a>" + "<div>" * 20_000 + "<a href=y></a>", BASE)
    assert (True, 1) == (page.is_cut, len(list(page.links())))


@pytest.mark.parametrize("html", ["<p><li><br><div></div>" * 10_000, "<div>" * 2000, "<font>x" * 5000, "<script>if(a<b " + "x y " * 3000 + "</script>"])  # fmt: skip
def test_an_honest_page_is_not_cut(html):
    """However careless it is written."""
    page = Page(html + "<a href=y></a>", BASE)
    assert (False, 1) == (page.is_cut, len(list(page.links())))
