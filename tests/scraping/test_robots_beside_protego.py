"""A second opinion on robots.txt, from protego: where both read the RFC alike, and where it departs from that.

The departures are why rules are read by the library itself. One that fails here was mended there.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protego import Protego

from workerpool.policies.robots import RobotsRules

AGENT = "foobot"
PATTERNS = st.text("abAB/*%5a?=", max_size=8).map("/".__add__)
FILES = st.lists(
    st.one_of(
        st.tuples(st.just("User-agent"), st.sampled_from(["*", "foobot", "FooBot", "barbot"])),
        st.tuples(st.sampled_from(["Allow", "Disallow", "allow"]), PATTERNS),
        st.just(("Sitemap", "http://h/s")),
    ),
    max_size=12,
).map(lambda records: "".join(f"{name}: {value}\n" for name, value in records))
PATHS = st.text("abAB/%5a", max_size=10).map("/".__add__)


def ours(text, path, agent=AGENT):
    rules = RobotsRules.from_response(200, {}, text.encode(), agent=agent, now=0)
    return rules.allows("http://h" + path)


def theirs(text, path, agent=AGENT):
    return Protego.parse(text).can_fetch("http://h" + path, agent)


@given(text=FILES, path=PATHS)
def test_both_say_the_same(text, path):
    """Of groups, precedence, wildcards and escapes of ASCII."""
    assert theirs(text, path) is ours(text, path)


ALL = "User-agent: *\n"
DEPARTURES = [
    ("a pattern's $ is taken for a dollar, too", f"{ALL}Disallow: /foo$\n", "/foo$bar", True),
    ("a folder is allowed for its index.html", f"{ALL}Disallow: /\nAllow: /index.html\n", "/", False),
    ("an unknown record ends the names of a group", "User-agent: foobot\nX: y\nUser-agent: *\nDisallow: /\n", "/", False),
    ("so does Crawl-delay", "User-agent: foobot\nCrawl-delay: 1\nUser-agent: *\nDisallow: /\n", "/", False),
    ("a name is matched by its beginning", "User-agent: foo\nDisallow: /\n", "/", True),
    ("a name with its version is not known", "User-agent: FooBot/1.0\nDisallow: /\n", "/", False),
    ("lines end at what may be in a path", f"{ALL}Disallow: /a\u2028b\n", "/a", True),
    ("escapes of a query are not what they say", f"{ALL}Disallow: /a?b=/c\n", "/a?b=%2Fc", False),
    ("an escaped ? counts as one", f"{ALL}Disallow: /a?b\n", "/a%3Fb", True),
    ("escapes that are no UTF-8 are all alike", f"{ALL}Disallow: /caf%E9\n", "/caf%E8", True),
    ("a byte order mark hides the first line", f"\ufeff{ALL}Disallow: /\n", "/", False),
    ("a rule that is a URL counts", f"{ALL}Disallow: http://h/x\n", "/http://h/x", True),
    ("dot segments are compared as they are", f"{ALL}Disallow: /private\n", "/a/../private", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "expected"), [row[1:] for row in DEPARTURES], ids=[row[0] for row in DEPARTURES]
)
def test_where_it_departs_from_the_rfc(text, path, expected):
    """Ours is what the RFC says, and theirs is not."""
    assert (expected, not expected) == (ours(text, path), theirs(text, path))


def test_another_word_of_a_user_agent_is_no_name_of_ours():
    """Theirs finds it anywhere."""
    text, agent = "User-agent: bar\nDisallow: /\n", "FooBot/1.0 (unlike bar)"
    assert (True, False) == (ours(text, "/", agent), theirs(text, "/", agent))
