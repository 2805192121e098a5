"""robots.txt by RFC 9309: a table of what is allowed, and of what follows from each answer."""

import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool.errors import InvalidRequest
from workerpool.policies.robots import MAX_BYTES, RobotsQuery, RobotsRules, robots_agent

NOW = 1_000_000.0
DAY = 86_400.0
ALL = "User-agent: *\n"


def parsed(text, agent="FooBot", **options):
    body = text if isinstance(text, bytes) else text.encode()
    return RobotsRules.from_response(200, {}, body, agent=agent, now=NOW, **options)


def allows(text, path, agent="FooBot"):
    return parsed(text, agent).allows("http://host.test" + path)


THREE_GROUPS = """
User-agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""
GROUPS = """allow: /foo/bar/

user-agent: FooBot
disallow: /
allow: /x/
user-agent: BarBot
disallow: /
allow: /y/


allow: /w/
user-agent: BazBot

user-agent: FooBot
allow: /z/
disallow: /
"""
MERGED = "user-agent: ExampleBot\ndisallow: /foo\ndisallow: /bar\nuser-agent: other\ndisallow: /\nuser-agent: examplebot\ndisallow: /baz\n"

# The examples of the RFC (5.1, 5.2, 2.2.x), and what Google's suite for its parser checks of the RFC (ID_...).
RFC = [
    ("a group of one's own: all but", THREE_GROUPS, "/other", "foobot", False),
    ("a group of one's own: this", THREE_GROUPS, "/example/page.html", "foobot", True),
    ("a group of one's own: and this", THREE_GROUPS, "/example/allowed.gif", "foobot", True),
    ("a group for two: the first", THREE_GROUPS, "/example/page.html", "barbot", False),
    ("a group for two: the second", THREE_GROUPS, "/example/page.html", "bazbot", False),
    ("a group for two: what is not named", THREE_GROUPS, "/example/other.html", "bazbot", True),
    ("a group without rules", THREE_GROUPS, "/example/page.gif", "quxbot", True),
    ("all others: a suffix", THREE_GROUPS, "/a/page.gif", "other", False),
    ("all others: a suffix within", THREE_GROUPS, "/a/page.gif.html", "other", True),
    ("all others: a folder", THREE_GROUPS, "/example/index.html", "other", False),
    ("all others: allowed", THREE_GROUPS, "/publications/", "other", True),
    ("longest match: allowed within", "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n", "/example/page/", "foobot", True),
    ("longest match: disallowed", "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n", "/example/page/disallowed.gif", "foobot", False),
    ("merged: the first", MERGED, "/foo", "ExampleBot", False),
    ("merged: the last", MERGED, "/baz", "ExampleBot", False),
    ("merged: not the other's", MERGED, "/qux", "ExampleBot", True),
    ("a line of comment, and its end", "User-agent: *   # all\n# Disallow: /\nDisallow: /a#b\n", "/a", "x", False),
    ("a commented rule", "User-agent: *   # all\n# Disallow: /\nDisallow: /a#b\n", "/b", "x", True),
    ("only `*` and `$` mean something", ALL + "Disallow: /file-with-a-%2A.html\n", "/file-with-a-*.html", "x", False),
    ("an escaped star is a star", ALL + "Disallow: /file-with-a-%2A.html\n", "/file-with-a-b.html", "x", True),
    ("an escaped dollar is a dollar", ALL + "Disallow: /foo-%24\n", "/foo-$x", "x", False),
    ("groups: allowed in the first of two", GROUPS, "/x/b", "FooBot", True),
    ("groups: allowed in the second of two", GROUPS, "/z/d", "FooBot", True),
    ("groups: disallowed in both", GROUPS, "/y/c", "FooBot", False),
    ("groups: rules before any agent", GROUPS, "/foo/bar/", "FooBot", False),
    ("groups: empty lines end none", GROUPS, "/w/a", "BarBot", True),
    ("groups: another's", GROUPS, "/z/d", "BarBot", False),
    ("groups: two names after an empty line", GROUPS, "/z/d", "BazBot", True),
    ("other records: a sitemap between agents", "User-agent: BarBot\nSitemap: https://h/s\nUser-agent: *\nDisallow: /\n", "/", "BarBot", False),
    ("other records: unknown between agents", "User-agent: FooBot\nInvalid-Unknown-Line: unknown\nUser-agent: *\nDisallow: /\n", "/", "FooBot", False),
    ("other records: Crawl-delay between agents", "User-agent: FooBot\nCrawl-delay: 5\nUser-agent: *\nDisallow: /\n", "/", "FooBot", False),
    ("names of fields in any case", "uSeR-aGeNt: FooBot\nALLOW: /x/\nDiSaLlOw: /\n", "/y", "FooBot", False),
    ("names of agents in any case", "User-agent: fOObOT\nDisallow: /\n", "/", "FooBot", False),
    ("paths in their case", ALL + "Disallow: /X/\n", "/x/", "x", True),
    ("fields that mean nothing", "foo: FooBot\nbar: /\n", "/", "FooBot", True),
    ("fields without a colon", "user-agent FooBot\ndisallow /\n", "/", "FooBot", False),
    ("a sentence is no field", "User-agent: *\nDisallow any of these / please\n", "/", "FooBot", True),
    ("a misspelled field", ALL + "Dissallow: /\n", "/", "x", False),
    ("white space all around", " \tUser-agent \t: \t*\t \n\t Disallow\t:\t/a \t\n", "/a", "x", False),
    ("the name up to its version", "User-agent: FooBot/2.1\nDisallow: /\n", "/", "FooBot", False),
    ("the name up to a space", "User-agent: FooBot crawler\nDisallow: /\n", "/", "FooBot", False),
    ("not another name's beginning", "User-agent: Foo\nDisallow: /\n", "/", "FooBot", True),
    ("not another name's end", "User-agent: Bot\nDisallow: /\n", "/", "Foo-Bot", True),
    ("one's name and version", "User-agent: foobot\nDisallow: /\n", "/", "FooBot/1.0 (+https://bots.test/)", False),
    ("not a name in one's comment", "User-agent: bar\nDisallow: /\n", "/", "FooBot/1.0 (unlike bar)", True),
    ("the name after `compatible`", "User-agent: foobot\nDisallow: /\n", "/", "Mozilla/5.0 (compatible; FooBot/1.0; +http://b.test)", False),
    ("the star and what follows", "User-agent: * # all\nDisallow: /\n", "/", "x", False),
    ("a name with a star is none", "User-agent: *bot\nDisallow: /\n", "/", "FooBot", True),
    ("one's own group, not all others'", "User-agent: *\nDisallow: /x/\nUser-agent: FooBot\nDisallow: /y/\n", "/x/page", "FooBot", True),
    ("no file at all", "", "/", "FooBot", True),
    ("nobody's group", "User-agent: a\nDisallow: /\n", "/", "FooBot", True),
    ("an empty Disallow", ALL + "Disallow:\n", "/", "x", True),
    ("empty rules", ALL + "Disallow:\nAllow:\n", "/", "x", True),
    ("an empty name begins a group", ALL + "Allow: /a\nUser-agent:\nDisallow: /\n", "/", "x", True),
    ("Allow wins a tie", ALL + "Disallow: /folder\nAllow: /folder\n", "/folder/page", "x", True),
    ("Allow wins a tie, first", ALL + "Allow: /\nDisallow: /\n", "/", "x", True),
    ("the longer one, whatever the order", ALL + "Disallow: /x/page.html\nAllow: /x/\n", "/x/page.html", "x", False),
    ("the longer one allows", ALL + "Allow: /x/page.html\nDisallow: /x/\n", "/x/page.html", "x", True),
    ("a slash more", ALL + "Disallow: /x\nAllow: /x/\n", "/x", "x", False),
    ("a wildcard that is longer", ALL + "Allow: /page\nDisallow: /*.html\n", "/page.html", "x", False),
    ("a wildcard that is shorter", ALL + "Allow: /x/page.\nDisallow: /*.html\n", "/x/page.html", "x", True),
    ("the end counts as an octet", ALL + "Allow: /index.html\nDisallow: /index.html$\n", "/index.html", "x", False),
    ("robots.txt itself", ALL + "Disallow: /\n", "/robots.txt", "x", True),
    ("but not all that begins so", ALL + "Disallow: /\n", "/robots.txt.html", "x", False),
]  # fmt: skip

WILDCARDS = [
    ("/fish", "/fish", True), ("/fish", "/fish.html", True), ("/fish", "/fish/salmon.html", True),
    ("/fish", "/fishheads", True), ("/fish", "/fish.php?id=anything", True), ("/fish", "/Fish.asp", False),
    ("/fish", "/catfish", False), ("/fish", "/?id=fish", False), ("/fish*", "/fishheads/yummy.html", True),
    ("/fish*", "/catfish", False), ("/fish/", "/fish/salmon.htm", True), ("/fish/", "/fish", False),
    ("/fish/", "/fish.html", False), ("fish", "/fish", False), ("*.php", "/folder/a.php", True),
    ("/*.php", "/index.php", True), ("/*.php", "/folder/filename.php?parameters", True),
    ("/*.php", "/folder/any.php.file.html", True), ("/*.php", "/windows.PHP", False),
    ("/*.php$", "/filename.php", True), ("/*.php$", "/folder/filename.php", True),
    ("/*.php$", "/filename.php?parameters", False), ("/*.php$", "/filename.php/", False),
    ("/*.php$", "/filename.php5", False), ("/fish*.php", "/fishheads/catfish.php?parameters", True),
    ("/fish*.php", "/Fish.PHP", False), ("/$", "/", True), ("/$", "/a", False), ("/foo$", "/foo$bar", False),
    ("/a$b", "/a$bc", True), ("/a*", "/a", True), ("/a**b", "/axxb", True), ("/*a*a*b$", "/aab", True),
    ("/ab*b$", "/ab", False), ("*", "/anything", True), ("/*/x", "/?next=/x", True), ("/*?a=", "/p?a=1", True),
    ("/?", "/?", True), ("/?", "/", False), ("/a?b", "/a%3Fb", False), ("/*" + "a*" * 40 + "b", "/" + "a" * 3000, False),
]  # fmt: skip

SPELLINGS = [
    ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
    ("/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http%3A%2F%2Ffoo.bar", True),
    ("/foo/bar?baz=http%3A%2F%2Ffoo.bar", "/foo/bar?baz=http://foo.bar", True),
    ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
    ("/foo/bar/%E3%83%84", "/foo/bar/ツ", True),
    ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", True),
    ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
    ("/foo/bar/baz", "/foo/bar/%62%61%7A", True),
    ("/a%2Fb", "/a/b", False), ("/a/b", "/a%2fb", False), ("/a%2Fb", "/a%2fb", True),
    ("/a b", "/a%20b", True), ("/a:b", "/a%3Ab", True), ("/a%", "/a%25", True), ("/a%zz", "/a%25zz", True),
    ("/a%25", "/a%", True), ("/~u", "/%7Eu", True), ("/a\u2028b", "/a%E2%80%A8b", True),
    ("/a\u2028b", "/a", False), ("/a\x85b", "/a%C2%85b", True), ("/private", "/public/../private", True),
    ("/private", "/%2e/private", True), ("/caf%E9", "/caf%E9", True), ("/caf%E9", "/caf%E8", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "agent", "expected"), [row[1:] for row in RFC], ids=[row[0] for row in RFC])
def test_who_may_ask_for_what(text, path, agent, expected):
    """Groups, names, fields and precedence are the RFC's."""
    assert expected is allows(text, path, agent)


@pytest.mark.parametrize(("pattern", "path", "matched"), WILDCARDS)
def test_wildcards(pattern, path, matched):
    """A pattern disallows what it matches, and nothing else."""
    assert matched is not allows(f"{ALL}Disallow: {pattern}\n", path)


@pytest.mark.parametrize(("pattern", "path", "matched"), SPELLINGS)
def test_escapes_are_compared_by_what_they_say(pattern, path, matched):
    """The table of RFC 9309, 2.2.2, and its like."""
    assert matched is not allows(f"{ALL}Disallow: {pattern}\n", path)


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        (b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n", "/", False),
        (b"\xef\x11\xbfUser-agent: *\nDisallow: /\n", "/", True),
        (b"User-agent: *\n\xef\xbb\xbfDisallow: /\n", "/", True),
        ("\ufeffUser-agent: *\nDisallow: /ä\n".encode("utf-16-le"), "/%C3%A4", False),
        ("\ufeffUser-agent: *\nDisallow: /\n".encode("utf-16-be"), "/", False),
        (b"User-agent: *\nDisallow: /caf\xe9\n", "/caf%E9", False),
        (b"User-agent: *\nDisallow: /caf\xe9\n", "/caf%E8", True),
        (b"User-agent: *\n\xff\xfe\x00\x01\nDisallow: /a\n", "/a", False),
        (b"User-agent: *\rDisallow: /a\rDisallow: /b\r", "/b", False),
        (b"User-agent: *\r\nDisallow: /a\r\n\r\nDisallow: /b", "/b", False),
        (b"\r\n\nUser-agent: *\r\n\nDisallow: /a\n\r", "/a", False),
        (b"<!DOCTYPE html><html><body>Disallow: /</body></html>", "/", True),
        (b"\0" * 1000, "/", True),
    ],
)  # fmt: skip
def test_bytes_that_came(body, path, expected):
    """Byte order marks, encodings, line ends and rubbish."""
    assert expected is allows(body, path)


def padded(rule, size):
    """Return a file of this size that ends with a rule."""
    head = b"User-agent: *\n"
    return head + b"#" * (size - len(head) - len(rule) - 1) + b"\n" + rule


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (padded(b"Disallow: /a", MAX_BYTES), False),
        (padded(b"Disallow: /a", MAX_BYTES) + b"\nAllow: /ab\n", False),
        (padded(b"Disallow: /a\n", MAX_BYTES) + b"Allow: /ab\n", False),
        (padded(b"Disallow: /a", MAX_BYTES + 1), True),
        (padded(b"Disallow: /abc", MAX_BYTES + 3), True),
        (padded(b"Disallow: /a", 20 * MAX_BYTES), True),
        (b"Disallow: /" + b"a" * MAX_BYTES, True),
    ],
    ids=["to the brim", "a line end follows", "a line follows", "a byte too long", "cut", "far beyond", "one line"],
)
def test_500_kib_are_read(body, expected):
    """What lies beyond is not, nor a line that is cut."""
    assert expected is allows(body, "/abc")


def answered(status, headers=(), previous=None, now=NOW):
    return RobotsRules.from_response(
        status, headers, b"User-agent: *\nDisallow: /private\n", agent="FooBot", now=now, previous=previous
    )


@pytest.mark.parametrize(
    ("status", "found", "public", "private"),
    [
        (200, "parsed", True, False), (203, "parsed", True, False), (299, "parsed", True, False),
        (301, "unavailable", True, True), (302, "unavailable", True, True), (304, "unavailable", True, True),
        (308, "unavailable", True, True),
        (400, "unavailable", True, True), (401, "unavailable", True, True), (403, "unavailable", True, True),
        (404, "unavailable", True, True), (410, "unavailable", True, True), (418, "unavailable", True, True),
        (429, "unavailable", True, True), (451, "unavailable", True, True), (499, "unavailable", True, True),
        (500, "unreachable", False, False), (502, "unreachable", False, False), (503, "unreachable", False, False),
        (504, "unreachable", False, False), (599, "unreachable", False, False), (999, "unreachable", False, False),
        (101, "unreachable", False, False),
    ],
)  # fmt: skip
def test_what_follows_from_a_status(status, found, public, private):
    """2xx is read, 3xx and 4xx allow all, 5xx nothing: RFC 9309, 2.3.1."""
    rules = answered(status)
    assert (found, public, private) == (rules.found, rules.allows("http://h/x"), rules.allows("http://h/private"))


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), OSError("no name"), ValueError("cut")])
def test_without_an_answer_nothing_is_allowed(error):
    """Whatever kept it from coming (2.3.1.4)."""
    rules = RobotsRules.from_error(error, now=NOW)
    assert ("unreachable", type(error).__name__) == (rules.found, rules.cause)
    assert not rules.allows("http://h/x")
    assert "unreachable" == rules.rule_for("http://h/x")
    assert rules.allows("http://h/robots.txt")
    assert {} == rules.preferences("http://h/x")


def test_a_copy_stays_in_force_while_its_source_is_unreachable():
    """For 30 days from the first failure; then nothing is allowed, until there is an answer again."""
    copy = answered(200)
    outage = answered(503, previous=copy, now=NOW + DAY)
    assert (True, False) == (outage.allows("http://h/x"), outage.allows("http://h/private"))
    assert (NOW + DAY, "503") == (outage.failing_since, outage.cause)
    assert outage.is_stale(NOW + 2 * DAY)
    later = RobotsRules.from_error(TimeoutError(), now=NOW + 31 * DAY, previous=outage)
    assert (True, NOW + DAY) == (later.allows("http://h/x"), later.failing_since)
    ended = RobotsRules.from_error(TimeoutError(), now=NOW + 31 * DAY + 1, previous=later)
    assert (False, "unreachable", NOW + DAY) == (ended.allows("http://h/x"), ended.found, ended.failing_since)
    assert not answered(500, previous=ended, now=NOW + 90 * DAY).allows("http://h/x")
    assert answered(200, previous=ended, now=NOW + 91 * DAY).failing_since is None


def test_all_that_was_allowed_for_want_of_a_file_is_no_copy():
    """A 404 of yesterday does not open what answers 503 today."""
    assert not answered(503, previous=answered(404)).allows("http://h/x")


def test_a_304_renews_the_copy():
    """Its rules go on, and its time begins anew."""
    renewed = answered(304, previous=answered(503, previous=answered(200)), now=NOW + DAY)
    assert ("parsed", False, NOW + 2 * DAY) == (renewed.found, renewed.allows("http://h/private"), renewed.expires_at)
    assert (None, "") == (renewed.failing_since, renewed.cause)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, DAY), ({"Cache-Control": "max-age=7200"}, 7200), ({"cache-control": "public, Max-Age=7200"}, 7200),
        ([("Cache-Control", "public"), ("Cache-Control", 'max-age="3600"')], 3600),
        ({"Cache-Control": "max-age=999999"}, DAY), ({"Cache-Control": f"max-age={'9' * 5000}"}, DAY),
        ({"Cache-Control": "max-age=0"}, 600), ({"Cache-Control": "no-store"}, 600),
        ({"Cache-Control": "max-age=nan"}, DAY), ({"Cache-Control": "max-age=-1"}, DAY),
        ({"Cache-Control": "max-age=7200", "Age": "1200"}, 6000), ({"Cache-Control": "s-maxage=5"}, DAY),
    ],
)  # fmt: skip
def test_how_long_a_copy_is_used(headers, seconds):
    """24 hours, or less if the server says so, but not for each page anew."""
    rules = answered(200, headers)
    assert NOW + seconds == rules.expires_at
    assert [True, False, False, True] == [
        rules.is_stale(each) for each in (NOW - 1, NOW, NOW + seconds - 1, NOW + seconds)
    ]


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ("", 0), ("Crawl-delay: 10", 10), ("crawl-delay: 0.5", 0.5), ("Crawl-delay 3", 3), ("Crawl-delay: 7 # s", 7),
        ("Crawl-delay: 2 seconds", 2), ("Crawl-delay: 1\nCrawl-delay: 5\nCrawl-delay: 2", 5),
        ("Request-rate: 1/5", 5), ("Request-rate: 10/1m", 6), ("Request-rate: 1/2h", 3600),
        ("Request-rate: 100/60s 0600-0845", 0.6), ("Crawl-delay: 3\nRequest-rate: 1/2", 3),
        ("Crawl-delay: 1\nRequest-rate: 1/2", 2), ("Crawl-delay: -5", 0), ("Crawl-delay: nan", 0),
        ("Crawl-delay: inf", 3600), ("Crawl-delay: 1e9", 3600), ("Crawl-delay: -inf", 0), ("Crawl-delay: ten", 0),
        ("Crawl-delay:", 0), ("Request-rate: 0/5", 0), ("Request-rate: 5", 0), ("Request-rate: 1/0", 0),
        ("Request-rate: -1/5", 0), (f"Request-rate: 1/{'9' * 90}", 3600), (f"Request-rate: 1/{'9' * 9000}", 0),
        (f"Crawl-delay: {'9' * 9000}", 3600),
    ],
)  # fmt: skip
def test_seconds_between_two_requests(lines, seconds):
    """The longest of all that is asked for, within bounds."""
    assert seconds == parsed(f"{ALL}{lines}\nDisallow: /x\n").delay


def test_a_delay_is_for_whom_it_was_said():
    """Those named up to its line, though the group goes on."""
    text = "User-agent: FooBot\nCrawl-delay: 5\nUser-agent: *\nDisallow: /private\n"
    assert (5, 0) == (parsed(text).delay, parsed(text, "BarBot").delay)


def test_sitemaps_are_there_for_all():
    """First, last, in another's group, each once."""
    text = "Sitemap: http://h/1\nUser-agent: other\nDisallow: /\nsite-map: http://h/2\nSitemap: http://h/1\nSitemap:\n"
    assert ("http://h/1", "http://h/2") == parsed(text).sitemaps


def test_the_rule_that_decided_is_told():
    """As it is compared."""
    rules = parsed(f"{ALL}Disallow: /a b\nAllow: /a b/*.html$\n")
    assert "disallow: /a%20b" == rules.rule_for("http://h/a%20b/c")
    assert "allow: /a%20b/*.html$" == rules.rule_for("http://h/a%20b/c.html")
    assert None is rules.rule_for("http://h/c")


@pytest.mark.parametrize(
    "url",
    ["http://h/private", "https://u:p@h:8080/private?a", "/private", "http://h/private#x", "HTTP://h/%70rivate"],
)
def test_a_url_is_its_path(url):
    """Scheme, authority and fragment do not count."""
    assert not parsed(f"{ALL}Disallow: /private\n").allows(url)


@pytest.mark.parametrize(("url", "path"), [("http://h", "/"), ("http://h?a", "/?a"), ("http://h#a", "/"), ("", "/")])
def test_a_url_without_a_path_has_the_root(url, path):
    """With its query."""
    assert not parsed(f"{ALL}Disallow: {path}$\n").allows(url)


@pytest.mark.parametrize(
    ("agent", "token"),
    [
        ("mybot", "mybot"), ("MyBot/1.0 (+mail@example.org)", "mybot"), (" my_bot-2 x", "my_bot-2"),
        ("Mozilla/5.0 (compatible; MyBot/2.1; +http://b)", "mybot"), ("Mozilla/5.0 (X11; Linux)", "mozilla"),
    ],
)  # fmt: skip
def test_an_agent_is_known_by_its_name(agent, token):
    """Whatever else its User-Agent says."""
    assert token == robots_agent(agent)


@pytest.mark.parametrize("agent", ["", " ", "*", "(bot)", "/1.0"])
def test_an_agent_without_a_name_is_refused(agent):
    """Since no group could be its own."""
    with pytest.raises(InvalidRequest, match="agent must begin with a name"):
        parsed("", agent)


def test_rules_are_frozen_and_travel():
    """They can be shared by threads, and sent to another process."""
    rules = parsed(f"{ALL}Disallow: /a\n")
    with pytest.raises(FrozenInstanceError):
        rules.delay = 0
    assert not pickle.loads(pickle.dumps(rules)).allows("http://h/a")


@given(
    body=st.lists(st.sampled_from([b"User-agent: *", b"Disallow: /", b"\n", b"*", b"$", b"%", b"\xff", b"\xef\xbb\xbf", b"\r", b"#"]) | st.binary(max_size=9), max_size=20).map(b"".join),
    path=st.text(max_size=20).map("/".__add__),
)  # fmt: skip
def test_rubbish_is_read(body, path):
    """Whatever came, there is an answer, and the same each time."""
    rules = parsed(body)
    assert rules.allows("http://h" + path) is rules.allows("http://h" + path)
    assert 0 <= rules.delay <= 3600


# Redirects.
def test_five_redirects_are_followed():
    """Across origins, and the sixth is given up."""
    query = RobotsQuery.of("https://user:pw@Start.test:443/deep?x#y")
    assert "https://start.test/robots.txt" == query.url
    for number in range(5):
        query = query.after(301, {"Location": f"http://h{number}.test/r"})
    assert "http://h4.test/r" == query.url
    assert None is query.after(302, {"location": "http://h6.test/r"})
    assert "https://start.test" == query.origin
    assert ("https://start.test", *(f"http://h{number}.test" for number in range(5))) == query.origins


@pytest.mark.parametrize(
    ("status", "headers", "url"),
    [
        (301, {"Location": "/r"}, "http://h.test:8080/r"), (302, [("LOCATION", "r?a")], "http://h.test:8080/r?a"),
        (303, {"Location": "//other/"}, "http://other/"), (307, {"Location": "http://h.test:8080/robots.txt#a"}, "http://h.test:8080/robots.txt"),
        (308, {"Location": " https://h/r "}, "https://h/r"),
        (300, {"Location": "/r"}, None), (304, {"Location": "/r"}, None), (200, {"Location": "/r"}, None),
        (301, {}, None), (301, {"Location": ""}, None), (302, {"Location": "ftp://h/r"}, None),
        (302, {"Location": "file:///etc/passwd"}, None), (302, {"Location": "http://[bad"}, None),
        (302, {"Location": "http://h:99999/"}, None), (302, {"Location": "http:///x"}, "http://h.test:8080/x"), (503, {"Location": "/r"}, None),
    ],
)  # fmt: skip
def test_what_is_asked_next(status, headers, url):
    """What leads nowhere is given up."""
    following = RobotsQuery.of("http://h.test:8080/x").after(status, headers)
    assert url == (following and following.url)


@pytest.mark.parametrize(
    "url", ["ftp://h/", "h/x", "mailto:a@h", "http://", "http://[x/", "http://[@/", "http://h:0x/"]
)
def test_a_url_without_an_origin_is_refused(url):
    """There is no robots.txt for it."""
    with pytest.raises(InvalidRequest):
        RobotsQuery.of(url)


def test_an_address_of_ipv6_keeps_its_brackets():
    """It is asked for as it is."""
    assert "http://[::1]:81/robots.txt" == RobotsQuery.of("http://[::1]:81/x").url


# Wishes: draft-ietf-aipref-attach-05, 3.4, and Content-Signal.
WISHES = """User-Agent: *
Allow: /
Disallow: /never/
Content-Usage: train-ai=n
Content-Usage: /ai-ok/ train-ai=y
Content-Signal: search=yes, ai-train=no
Content-Usage: /both search=n
Content-Usage: /both  train-ai=n

User-Agent: ExampleBot
Allow: /
Content-Usage: train-ai=y
"""
NO_SIGNAL = {"content-signal": "search=yes, ai-train=no"}


@pytest.mark.parametrize(
    ("agent", "path", "expected"),
    [
        ("x", "/test", {"content-usage": "train-ai=n", **NO_SIGNAL}),
        ("x", "/never/test", {}),
        ("x", "/ai-ok/test", {"content-usage": "train-ai=y", **NO_SIGNAL}),
        ("x", "/both", {"content-usage": "search=n, train-ai=n", **NO_SIGNAL}),
        ("ExampleBot/1.0", "/test", {"content-usage": "train-ai=y"}),
    ],
)
def test_wishes_apply_by_path_and_agent(agent, path, expected):
    """The longest path counts, equal ones all, and what may not be asked for has none."""
    assert expected == parsed(WISHES, agent).preferences("http://h" + path)


def test_a_wish_above_all_groups_is_for_all():
    """Though a rule there has no meaning."""
    text = "Content-Signal: ai-train=no\nDisallow: /\nUser-agent: foobot\nDisallow: /x\n"
    assert {"content-signal": "ai-train=no"} == parsed(text).preferences("http://h/a")
    assert {"content-signal": "ai-train=no"} == parsed(text, "other").preferences("http://h/a")
