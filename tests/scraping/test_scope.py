"""What belongs to a crawl, and which URLs are one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool import InvalidRequest
from workerpool.scraping.scope import Scope, canonical_url, registrable_domain, url_key


@pytest.mark.parametrize(
    ("by", "url", "reason"),
    [
        ("host", "https://www.site.co.uk/x", None),
        ("host", "http://WWW.SITE.co.uk:80/", None),
        ("host", "https://www.site.co.uk./", None),
        ("host", "https://site.co.uk/", "host"),
        ("host", "https://www.site.co.uk:8443/", "host"),
        ("host", "https://www.site.co.uk@evil.example/", "host"),
        ("host", "https://www.site.co.uk.evil.example/", "host"),
        ("host", "ftp://www.site.co.uk/", "scheme"),
        ("host", "//www.site.co.uk/", "malformed"),
        ("host", "/docs/", "malformed"),
        ("host", "http://[::1", "malformed"),
        ("host", "http://a\0b/", "malformed"),
        ("domain", "http://shop.site.co.uk:8080/", None),
        ("domain", "http://other.co.uk/", "domain"),
        ("domain", "http://notsite.co.uk/", "domain"),
        ("prefix", "https://www.site.co.uk/docs/x/y", None),
        ("prefix", "http://www.site.co.uk/docs/", None),
        ("prefix", "https://www.site.co.uk/docs", "prefix"),
        ("prefix", "https://www.site.co.uk/docs/../x", "prefix"),
        ("prefix", "https://www.site.co.uk/docs/%2E%2e/x", "prefix"),
        ("prefix", "https://www.site.co.uk/docsx/", "prefix"),
        ("prefix", "https://site.co.uk/docs/x", "prefix"),
    ],
)
def test_what_is_within_a_scope(by, url, reason):
    """And by which rule it is not."""
    scope = Scope(["https://www.site.co.uk/docs/index.html"], by=by)
    assert reason == scope.reason(url)
    assert (reason is None) == (url in scope)


def test_rules_come_in_an_order():
    """The place, then what is denied, then what is allowed; too deep before all of them."""
    scope = Scope(["http://a.example/"], allow=[r"\.html$", "/$"], deny=["/private/"], depth=2)
    assert None is scope.reason("http://a.example/x.html", 2)
    assert "depth" == scope.reason("http://a.example/x.html", 3)
    assert "denied" == scope.reason("http://a.example/private/x.html")
    assert "not-allowed" == scope.reason("http://a.example/x.pdf")
    assert "host" == scope.reason("http://b.example/private/")
    assert "scheme" == Scope(["https://a.example/"], schemes=["https"]).reason("http://a.example/")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"seeds": []}, ValueError),
        ({"seeds": ["example.org"]}, InvalidRequest),
        ({"by": "site"}, ValueError),
        ({"depth": -1}, ValueError),
        ({"allow": ["("]}, ValueError),
        ({"deny": ["(a+)+"]}, ValueError),
    ],
)
def test_a_scope_that_makes_no_sense_is_refused(options, error):
    """At once."""
    with pytest.raises(error):
        Scope(**{"seeds": ["http://a.example/"]} | options)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("a.b.example.co.uk", "example.co.uk"),
        ("Example.ORG.", "example.org"),
        ("me.github.io", "me.github.io"),
        ("x.me.github.io", "me.github.io"),
        ("github.io", "github.io"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("", ""),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a.unknown-tld", "a.unknown-tld"),
    ],
)
def test_the_domain_that_somebody_has_registered(host, domain):
    """By the public suffix list; addresses are their own."""
    assert domain == registrable_domain(host)


SAME = [
    ("http://a.example", "HTTP://A.EXAMPLE:80/#top"),
    ("https://a.example/", "https://a.example:443"),
    ("http://a.example/?b=2&a=1", "http://a.example/?a=1&b=2"),
    ("http://a.example/?a", "http://a.example/?a="),
    ("http://a.example/?", "http://a.example/"),
    ("http://a.example/%7ex%2f", "http://a.example/~x%2F"),
    ("http://a.example/ä", "http://a.example/%C3%A4"),
    ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    ("http://a.example/x/../y/./z", "http://a.example/y/z"),
    ("http://a.example/?q=a+b", "http://a.example/?q=a%20b"),
    ("http://a.example/?utm_source=x&q=1&UTM_medium=y&gclid=1&fbclid=2", "http://a.example/?q=1"),
    ("http://a.example/x;jsessionid=1A2B?PHPSESSID=1", "http://a.example/x"),
]
DIFFERENT = [
    ("http://a.example/", "https://a.example/"),
    ("http://a.example/", "http://www.a.example/"),
    ("http://a.example/x", "http://a.example/x/"),
    ("http://a.example/x", "http://a.example/X"),
    ("http://a.example/?a=1", "http://a.example/?a=1&a=1"),
    ("http://a.example/?a=1", "http://a.example/?a=2"),
    ("http://a.example/?a=1", "http://a.example/?A=1"),
    ("http://a.example/", "http://a.example:8080/"),
    ("http://a.example/x%2Fy", "http://a.example/x/y"),
    ("http://a.example/?q=utm_source", "http://a.example/?q=gclid"),
    ("http://a.example/?a%26b=1", "http://a.example/?a&b=1"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_urls_of_one_page_have_one_key(one, other):
    """Of 16 bytes."""
    assert url_key(one) == url_key(other)
    assert 16 == len(url_key(one))
    assert canonical_url(one) == canonical_url(canonical_url(one))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_urls_of_two_pages_have_two_keys(one, other):
    """They may have other contents."""
    assert url_key(one) != url_key(other)


@given(
    st.text("ab1AZ_~-./%;:?#@ ", max_size=12),
    st.sampled_from(["http://a.example", "https://b1-c", "http://a.example/"]),
)
def test_the_short_way_leads_to_the_same_form(tail, start):
    """Whatever is taken for canonical without looking closer is."""
    url = start + tail
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workerpool.scraping.scope._CANONICAL", re.compile("(?!)"))
        slow = canonical_url(url)
    assert slow == canonical_url(url)


@pytest.mark.parametrize("url", ["", "x", "http://[::1", "http://[@/", "http://a:b/", "http://a/\udcff", "\0", "http://a:99999/", "http://" + "x" * 5000, "?" * 1000, "http://a/%zz"])  # fmt: skip
def test_what_is_no_url_has_a_key_too(url):
    """Its own."""
    assert 16 == len(url_key(url))
    assert url_key(url) != url_key(url + "y")
