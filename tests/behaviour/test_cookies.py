"""Cookies: kept and sent as browsers do, joined with those of the lane and of the request."""

from urllib.parse import parse_qs, urlsplit

import pytest
from servers import Handler, handled
from yarl import URL

from workerpool import Lane, WorkerPool
from workerpool.transport.cookies import Cookies

EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


class Shop(Handler):
    """Set the cookies that the query asks for, go where it says, and tell the Cookie headers that came."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = parse_qs(urlsplit(self.path).query)
        body = "|".join(self.headers.get_all("Cookie", [])).encode("latin-1")
        self.send_response(302 if "to" in asked else 200)
        for cookie in asked.get("set", []):
            self.send_header("Set-Cookie", cookie)
        for place in asked.get("to", []):
            self.send_header("Location", place)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


@pytest.fixture(scope="module")
def shop():
    with handled(Shop) as url:
        yield url.removesuffix("/")


async def fetch(session, url, **options):
    async with session.get(url, **options) as response:
        return await response.text()


def sent(client, url, **options):
    """The Cookie header that arrives, by each way to ask; they must agree."""
    told = client.get(url, **options).text
    assert told == client.post(url, data=b"x", **options).text
    return told


def setting(shop, *cookies, path="/"):
    return str(URL(f"{shop}{path}").with_query([("set", cookie) for cookie in cookies]))


@pytest.mark.parametrize("epoch", [EPOCH, "Thu, 01-Jan-1970 00:00:00 GMT", "Wed, 31 Dec 1969 23:59:59 GMT"])
def test_a_logout_takes_the_cookie_away(pool, shop, epoch):
    """The date that PHP, Django, Rails and Go delete cookies with is a date."""
    with pool.session() as browser:
        browser.get(setting(shop, "sid=SECRET; Path=/"))
        assert "sid=SECRET" == sent(browser, shop)
        browser.get(setting(shop, f"sid=gone; Path=/; Expires={epoch}"))
        assert "" == sent(browser, shop)
        browser.get(setting(shop, "a=1", f"b=2; Expires={EPOCH}; Max-Age=100"))
        assert "a=1; b=2" == sent(browser, shop)


@pytest.mark.parametrize(
    "value",
    ['{"x":1}', "1,2", "me@x.org", "ab+/==", "x y", "[1]", '"quoted"', '"a\\"b"', "a=b=c", "", "%20", "'q'", "é"],
)
def test_a_value_comes_back_as_it_was_sent(pool, shop, value):
    """RFC 6265, 5.4: name, equals sign, value, and no quotes or escapes of our own."""
    raw = value.encode().decode("latin-1")
    with pool.session() as browser:
        browser.get(setting(shop, f"a={raw}; Path=/"))
        assert f"a={raw}".encode("latin-1") in (sent(browser, shop).encode("latin-1"), sent(browser, shop).encode())
        assert sent(browser, shop) == browser.submit(fetch, shop).result()


def test_the_nearest_cookie_of_a_name_counts_and_all_are_joined(shop):
    """The request's before the server's before the lane's, with and without a base URL."""
    lane = {"cookies": {"lane": "L", "both": "lane"}}
    for options, url in ((lane, shop), ({**lane, "base_url": shop}, "/")):
        with WorkerPool(**options) as pool:
            assert {"lane=L", "both=lane"} == set(sent(pool, url).split("; "))
            assert {"lane=L", "both=own"} == set(sent(pool, url, cookies={"both": "own"}).split("; "))
            assert {"lane=L", "both=lane", "own=O"} == set(sent(pool, url, cookies={"own": "O"}).split("; "))
            pool.get(setting(shop, "both=jar; Path=/", "jar=J; Path=/"))
            assert {"lane=L", "both=jar", "jar=J"} == set(sent(pool, url).split("; "))
            assert {"lane=L", "both=own", "jar=J"} == set(sent(pool, url, cookies={"both": "own"}).split("; "))
            assert {"lane=L", "both=jar", "jar=J"} == set(pool.submit(fetch, url).result().split("; "))


def test_a_given_cookie_header_comes_last_and_untouched(pool, shop):
    """Odd as it may be, and once: there is one Cookie header."""
    odd = "c; d=x y; =e"
    assert odd == sent(pool, shop, headers={"Cookie": odd})
    assert f"own=O; {odd}" == sent(pool, shop, headers={"Cookie": odd}, cookies={"own": "O"})
    with pool.session() as browser:
        assert odd == sent(browser, shop, headers={"Cookie": odd})
        browser.get(setting(shop, "a=jar; Path=/", "d=jar; Path=/"))
        assert f"a=jar; {odd}" == sent(browser, shop, headers={"Cookie": odd})
        assert f"a=jar; {odd}" == browser.submit(fetch, shop, headers={"Cookie": odd}).result()


@pytest.mark.parametrize("with_base", [True, False])
def test_a_cookie_of_the_lane_that_the_server_deletes_stays_away(shop, with_base):
    """As does one that it replaces and deletes later; another host has not deleted it."""
    base = {"base_url": f"{shop}/api/"} if with_base else {}
    with WorkerPool(cookies={"sid": "L", "x": "1"}, **base) as pool:
        pool.get(setting(shop, f"sid=; Path=/; Expires={EPOCH}"))
        assert "x=1" == sent(pool, f"{shop}/api/a")
        assert "x=1" == pool.submit(fetch, f"{shop}/api/a").result()
        elsewhere = shop.replace("127.0.0.1", "localhost")
        assert ("" if with_base else "sid=L; x=1") == sent(pool, elsewhere)


def test_cookies_of_the_lane_stay_behind_when_a_redirect_leads_elsewhere(shop):
    """Whether they are for one host or for any; those of the request, too, and by functions as well."""
    elsewhere = shop.replace("127.0.0.1", "localhost")
    leading = str(URL(shop).with_query(to=f"{elsewhere}/"))
    for base in ({}, {"base_url": shop}):
        with WorkerPool(cookies={"lane": "L"}, **base) as pool:
            assert "" == pool.get(leading).text
            assert "" == pool.get(leading, cookies={"own": "O"}).text
            assert "" == pool.submit(fetch, leading).result()
            assert "lane=L" == pool.get(str(URL(shop).with_query(to="/on"))).text
            pool.get(setting(elsewhere, "there=T"))
            assert "there=T" == pool.get(leading, cookies={"own": "O"}).text


def test_a_lane_without_cookies_sends_the_requests_own_only(pool, shop):
    """What a server sets there is kept by nobody."""
    pool.get(setting(shop, "a=1; Path=/"))
    assert "" == sent(pool, shop)
    assert "b=2" == sent(pool, shop, cookies={"b": "2"})
    with WorkerPool(lanes=[Lane("other", headers={"Cookie": "h=1"})]) as other:
        assert "h=1" == sent(other.lane("other"), shop)
        assert "b=2" == sent(other.lane("other"), shop, cookies={"b": "2"})


def stored(run, url, *headers, given=None):
    """What a jar sends to each of some hosts, once the URL has set these."""

    async def ask():
        jar = Cookies(given or {})
        jar.update_cookies_from_headers(headers, URL(url))
        places = [url, "http://victim.com/", "https://sub.attacker.com/", "https://com/"]
        return [sorted(jar.filter_cookies(URL(place))) for place in places]

    return run(ask())


@pytest.mark.parametrize(
    "header",
    [
        "a=1; Domain=com",
        "a=1; Domain=.com",
        "a=1; domain=COM",
        "a=1; Domain=x.attacker.com; Domain=com",
        'a="x; domain=attacker.com"; Domain=com',
        "a=1; Domain=attacker.com; Domain=.Com",
        "a=1; Domain=victim.com",
        "a=1; Domain=tacker.com",
        "a=1; Domain=..com",
    ],
)
def test_nobody_sets_cookies_for_a_whole_top_level_domain(run, header):
    """The last Domain counts, and it needs two labels."""
    assert [[], [], [], []] == stored(run, "https://attacker.com/", header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a=1; Domain=com; Domain=attacker.com", [["a"], [], ["a"], []]),
        ("a=1; Domain=Attacker.COM", [["a"], [], ["a"], []]),
        ("a=1", [["a"], [], [], []]),
        ("a=1; Domain=", [["a"], [], [], []]),
        ("a=1; Domain=com.", [["a"], [], [], []]),
    ],
)
def test_a_site_sets_cookies_for_itself_and_below(run, header, expected):
    """As Domain says; without one, for the very host."""
    assert expected == stored(run, "https://attacker.com/", header)


def test_a_host_of_one_label_may_name_itself(run):
    """So do localhost and the hosts of a local network, and addresses."""
    assert ["a"] == stored(run, "http://localhost/", "a=1; Domain=localhost")[0]
    assert ["a"] == stored(run, "http://127.0.0.1/", "a=1; Domain=127.0.0.1")[0]
    assert [] == stored(run, "http://127.0.0.1/", "a=1; Domain=0.0.1")[0]


@pytest.mark.parametrize(
    ("url", "header", "kept"),
    [
        ("https://h.test/", "__Host-a=1; Secure; Path=/", True),
        ("https://h.test/", "__Host-a=1; Secure", False),
        ("https://h.test/", "__Host-a=1; Path=/", False),
        ("https://h.test/", "__Host-a=1; Secure; Path=/; Domain=h.test", False),
        ("https://h.test/", "__HOST-a=1; Secure; Path=/x", False),
        ("http://h.test/", "__Host-a=1; Secure; Path=/", False),
        ("https://h.test/", "__Secure-a=1; Secure; Domain=h.test", True),
        ("https://h.test/", "__secure-a=1", False),
        ("http://h.test/", "__Secure-a=1; Secure", False),
    ],
)
def test_names_that_promise_something_keep_it(run, url, header, kept):
    """`__Host-` and `__Secure-` (RFC 6265bis, 4.1.3)."""
    assert kept == bool(stored(run, url.replace("http:", "https:"), header)[0] if kept else stored(run, url, header)[0])


def test_what_is_remembered_of_the_lanes_cookies_is_bounded(run):
    """However many hosts answer."""

    async def fill():
        jar = Cookies({"a": "1"})
        for n in range(3100):
            jar.update_cookies_from_headers(["a=2"], URL(f"http://h{n}.test/"))
        return len(jar._answered)

    assert 3000 == run(fill())


def test_a_request_without_a_body_says_nothing_of_one(pool, shared_site):
    """No Content-Type; and a length of zero, where a body might be."""
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        headers = pool.request(method, shared_site.url_for("/echo")).json()["headers"]
        assert (None, "0") == (headers.get("Content-Type"), headers.get("Content-Length"))
    assert pool.post(shared_site.url_for("/echo"), data=b"x").json()["headers"]["Content-Type"]


@pytest.mark.parametrize("ask", ["get", "post", "function"])
def test_a_cookie_that_comes_with_a_redirect_counts_for_the_next_hop(pool, shop, ask):
    """As after a login; one that it deletes is gone."""
    with pool.session(cookies={"old": "1"}) as browser:
        url = str(
            URL(shop).with_query([("set", "sid=1; Path=/"), ("set", f"old=; Path=/; Expires={EPOCH}"), ("to", "/in")])
        )
        if ask == "function":
            assert "sid=1" == browser.submit(fetch, url).result()
        else:
            assert "sid=1" == browser.request(ask.upper(), url).text
