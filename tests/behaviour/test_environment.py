"""The environment's proxies and logins: they count for everything that a lane sends, or for nothing."""

import aiohttp
import pytest
from proxies import Proxy, SocksProxy
from test_websocket import server  # noqa: F401  a fixture
from yarl import URL

from workerpool import ConnectError, InvalidRequest, Lane, ProtocolError, ProxyError, WorkerPool
from workerpool.testing.scripted import TlsSite
from workerpool.transport.environment import Environment, proxy_for, read_environment

LOOPS = ["asyncio", "uvloop"]
NAMES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy"]


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """An environment without proxies and logins; sets what a test gives it."""
    for name in [*NAMES, *(name.upper() for name in NAMES), "REQUEST_METHOD"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def put(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.fixture(scope="module")
def secure():
    pytest.importorskip("trustme")
    with TlsSite() as site:
        yield site


async def fetch(session, url, **options):
    async with session.get(url, **options) as response:
        return await response.read()


def told(url):
    found = proxy_for(URL(url), read_environment(Lane("x", trust_env=True)))
    return None if found is None else str(found.origin())


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({"HTTP_PROXY": "http://p:1"}, "http://h/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "ws://h/", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://h/", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://h/", "http://p:1"),
        ({"HTTPS_PROXY": "https://p:1"}, "wss://h/", "https://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://h/", "http://p:1"),
        ({"all_proxy": "http://p:1"}, "https://h/", "http://p:1"),
        ({"ALL_PROXY": "http://a:1", "HTTP_PROXY": "http://p:1"}, "http://h/", "http://p:1"),
        ({"ALL_PROXY": "http://a:1", "HTTP_PROXY": "http://p:1"}, "https://h/", "http://a:1"),
        ({"HTTP_PROXY": "http://upper:1", "http_proxy": "http://lower:1"}, "http://h/", "http://lower:1"),
        ({"ALL_PROXY": "http://upper:1", "all_proxy": "http://lower:1"}, "http://h/", "http://lower:1"),
        ({"HTTP_PROXY": "p:3128"}, "http://h/", "http://p:3128"),
        ({"HTTP_PROXY": "user:secret@p:3128"}, "http://h/", "http://p:3128"),
        ({"HTTP_PROXY": " http://p:1 "}, "http://h/", "http://p:1"),
        ({"HTTP_PROXY": "HTTP://p:1"}, "http://h/", "http://p:1"),
        ({"HTTP_PROXY": ""}, "http://h/", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://h/", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://h/", "http://p:1"),
        ({"HTTP_PROXY": "socks5://p:1"}, "http://h/", "socks5://p:1"),
        ({"HTTP_PROXY": "[::1]:3128"}, "http://h/", "http://[::1]:3128"),
    ],
)
def test_the_scheme_names_the_proxy_and_then_all(environment, variables, url, expected):
    """Lower case before upper case; without a scheme it is an http proxy."""
    environment(**variables)
    assert expected == told(url)


@pytest.mark.parametrize(
    ("exempt", "direct", "by_proxy"),
    [
        ("*", ["http://h/", "https://1.2.3.4/"], []),
        ("a.test", ["http://a.test/", "http://x.a.test:81/", "https://A.TEST./"], ["http://ba.test/", "http://test/"]),
        (".a.test", ["http://a.test/", "http://x.a.test/"], ["http://ba.test/"]),
        ("*.localhost", ["http://x.localhost/", "http://localhost/"], ["http://xlocalhost/"]),
        ("A.Test", ["http://a.test/"], []),
        ("a.test:81", ["http://a.test:81/", "http://x.a.test:81/"], ["http://a.test/", "https://a.test/"]),
        ("localhost:80", ["http://localhost/"], ["http://localhost:8080/"]),
        ("127.0.0.1", ["http://127.0.0.1:5/"], ["http://127.0.0.2/", "http://localhost/"]),
        ("127.0.0.0/8", ["http://127.9.9.9/"], ["http://128.0.0.1/", "http://localhost/"]),
        ("127.0.0.1/8", ["http://127.9.9.9/"], []),
        ("127.0.0.1:81", ["http://127.0.0.1:81/"], ["http://127.0.0.1/"]),
        ("0.0.1", [], ["http://127.0.0.1/"]),
        ("::1", ["http://[::1]/"], ["http://[::2]/"]),
        ("[::1]", ["http://[::1]:99/", "http://[0:0::1]/"], []),
        ("[::1]:81", ["http://[::1]:81/"], ["http://[::1]/"]),
        ("::1/128", ["http://[::1]/"], ["http://[::2]/"]),
        ("[fe80::]/10", ["http://[fe80::5]/"], ["http://[::1]/"]),
        (" a.test , b.test\tc.test", ["http://a.test/", "http://b.test/", "http://c.test/"], ["http://d.test/"]),
        ("bücher.test", ["http://xn--bcher-kva.test/", "http://bücher.test/"], []),
        (",, ,", [], ["http://a.test/", "http://127.0.0.1/"]),
        (
            "a*.test,http://a.test,a.test:x,:80,[::1,1.2.3.4/99",
            [],
            ["http://a.test/", "http://[::1]/", "http://1.2.3.4/"],
        ),
    ],
)
def test_no_proxy_exempts_what_it_names_and_nothing_else(environment, exempt, direct, by_proxy):
    """Domains with all below them, addresses, networks, ports."""
    environment(ALL_PROXY="http://p:1", NO_PROXY=exempt)
    assert [None] * len(direct) == [told(url) for url in direct]
    assert ["http://p:1"] * len(by_proxy) == [told(url) for url in by_proxy]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        "http://",
        "ftp://user:SECRET@p:1",
        "socks://p:1",
        "http://user:SECRET@p:port",
        "http://a..b:1",
        "://SECRET",
        "http:///SECRET",
    ],
)
def test_what_cannot_be_a_proxy_is_refused_when_the_lane_is_opened(environment, variable, value):
    """By the pool's constructor, or where the session is opened; a lane that does not trust it is not asked."""
    environment(**{variable: value})
    with pytest.raises(InvalidRequest, match=f"{variable.upper()} is not a URL of a proxy") as caught:
        WorkerPool(trust_env=True)
    assert "SECRET" not in repr(caught.value)
    with pytest.raises(InvalidRequest, match="lane 'mine': "):
        WorkerPool(lanes=[Lane("mine", trust_env=True)])
    with WorkerPool(lanes=[Lane("mine")]) as pool:
        with pytest.raises(InvalidRequest):
            pool.session(trust_env=True)
        assert 1 == len(pool.stats().lanes) - 1
    with WorkerPool(trust_env=True, proxy="http://own:1"):
        pass


def test_a_socks_proxy_of_no_version_is_told_what_to_say(environment):
    """As desktops set it; it is not guessed."""
    environment(ALL_PROXY="socks://127.0.0.1:1080/")
    with pytest.raises(
        InvalidRequest, match="ALL_PROXY is not a URL of a proxy: say which SOCKS it is, such as socks5h:"
    ):
        WorkerPool(trust_env=True)


def test_a_socks_proxy_names_its_extra(environment, monkeypatch):
    """It is refused where the extra is missing, and never asked in another protocol."""
    monkeypatch.setattr("workerpool.lane.find_spec", lambda _name: None)
    environment(ALL_PROXY="socks5://p:1")
    with pytest.raises(InvalidRequest, match=r"aiohttp-workerpool\[socks\]"):
        WorkerPool(trust_env=True)


def ways(pool, url):
    yield pool.get(url).content
    yield pool.post(url, data=b"x").content
    yield pool.submit(fetch, url).result()


@pytest.mark.parametrize("event_loop", LOOPS)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "all_proxy"])
def test_everything_goes_by_the_proxy_that_is_set(environment, event_loop, variable):
    """Requests, functions and sessions; what is exempt goes directly."""
    with Proxy() as proxy:
        environment(**{variable: proxy.url.replace("://", "://me:mine@"), "NO_PROXY": "127.0.0.0/8"})
        with WorkerPool(trust_env=True, event_loop=event_loop, retry=None) as pool, pool.session() as browser:
            assert [b"by proxy"] * 6 == [*ways(pool, "http://h.test/?a=1"), *ways(browser, "http://h.test/?a=1")]
            with pytest.raises(ConnectError):
                pool.get("http://127.0.0.1:9/")
            with pytest.raises(aiohttp.ClientConnectorError):
                pool.submit(fetch, "http://127.0.0.1:9/").result()
    assert 6 == len(proxy.seen)
    assert all(" http://h.test/?a=1 HTTP/1.1\r\n" in head for head in proxy.seen)
    assert all("\r\nProxy-Authorization: Basic bWU6bWluZQ==\r\n" in head for head in proxy.seen)


@pytest.mark.parametrize("event_loop", LOOPS)
def test_https_goes_through_a_tunnel(environment, event_loop, secure):
    """By requests and functions, each with the proxy's credentials and nothing else in the CONNECT."""
    with Proxy() as proxy:
        environment(HTTPS_PROXY=proxy.url.replace("://", "://me:mine@"))
        lane = {"trust_env": True, "event_loop": event_loop, "ssl": secure.ssl_context, "auth": ("u", "p")}
        with WorkerPool(**lane) as pool:
            for body in ways(pool, f"{secure.url}/fast/1"):
                assert body
    assert proxy.seen
    for head in proxy.seen:
        assert head.startswith("CONNECT 127.0.0.1:")
        assert 1 == head.lower().count("authorization")
        assert "Proxy-Authorization: Basic bWU6bWluZQ==" in head


@pytest.mark.parametrize("event_loop", LOOPS)
def test_a_socks_proxy_of_the_environment_is_asked_in_socks(environment, event_loop, secure, shared_site):
    """And only for what it is set for; its credentials go to it and to nobody else."""
    pytest.importorskip("aiohttp_socks")
    with SocksProxy() as socks, Proxy() as proxy:
        environment(
            ALL_PROXY=socks.url.replace("://", "://me:mine@"), NO_PROXY=f"127.0.0.1:{URL(shared_site.url).port}"
        )
        with WorkerPool(trust_env=True, event_loop=event_loop, ssl=secure.ssl_context) as pool:
            for body in ways(pool, f"{secure.url}/fast/1"):
                assert body
            for body in ways(pool, f"{shared_site.url}/fast/1"):
                assert body
            for body in ways(pool, shared_site.url_for("/echo").replace("127.0.0.1", "localhost")):
                assert b"uthorization" not in body
            assert b"by proxy" == pool.submit(fetch, "http://h.test/", proxy=proxy.url).result()
        environment(HTTP_PROXY=proxy.url)
        with WorkerPool(trust_env=True, event_loop=event_loop, ssl=secure.ssl_context) as pool:
            assert [b"by proxy"] * 3 == list(ways(pool, "http://h.test/"))
            for body in ways(pool, f"{secure.url}/fast/1"):
                assert body
    ports = {URL(secure.url).port, URL(shared_site.url).port}
    assert {f"me:mine@127.0.0.1:{URL(secure.url).port}", f"me:mine@localhost:{URL(shared_site.url).port}"} == set(
        socks.seen
    )
    assert 2 == len(ports)
    assert all(head.split(" ")[1] == "http://h.test/" for head in proxy.seen)
    assert all("uthorization" not in head for head in proxy.seen)


def test_a_socks_proxy_of_the_environment_that_is_down_is_a_proxy_error(environment, free_port):
    """And never a reason to go around it."""
    pytest.importorskip("aiohttp_socks")
    environment(ALL_PROXY=f"socks5h://127.0.0.1:{free_port}")
    with WorkerPool(trust_env=True, retry=None) as pool:
        with pytest.raises(ProxyError):
            pool.get("http://127.0.0.1:9/")
        with pytest.raises(aiohttp.ClientProxyConnectionError):
            pool.submit(fetch, "http://127.0.0.1:9/").result()


@pytest.mark.parametrize("proxy", ["SOCKS5://127.0.0.1:{}", " socks5h://127.0.0.1:{}"])
def test_a_socks_proxy_however_written_is_one(proxy, shared_site):
    """Nothing is sent in clear to its port."""
    pytest.importorskip("aiohttp_socks")
    with SocksProxy() as socks, WorkerPool(proxy=proxy.format(socks.port)) as pool:
        assert pool.get(shared_site.url_for("/fast/1")).ok
    assert [f"127.0.0.1:{URL(shared_site.url).port}"] == socks.seen


@pytest.mark.parametrize("event_loop", LOOPS)
@pytest.mark.parametrize("by", ["HTTP_PROXY", "lane", "ALL_PROXY socks"])
def test_a_websocket_goes_through_a_tunnel(environment, event_loop, by, server):  # noqa: F811
    """RFC 6455, 4.1: also without TLS, by CONNECT; with the proxy's credentials in that alone."""
    with SocksProxy() if "socks" in by else Proxy() as proxy:
        url = proxy.url.replace("://", "://me:mine@")
        environment(**{} if by == "lane" else {by.split()[0]: url})
        lane = {"proxy": url} if by == "lane" else {"trust_env": True}
        with WorkerPool(event_loop=event_loop, headers={"X-One": "KEY"}, **lane) as pool:
            for _ in range(2):
                with pool.websocket(server) as socket:
                    socket.send("headers")
                    assert socket.recv(20).startswith("KEY ")
                    socket.send("x" * 100_000)
                    assert "x" * 100_000 == socket.recv(20)
            with pytest.raises(ProtocolError, match="answered 404"):
                pool.websocket(f"{server}nothing").__enter__()
            assert pool.drain(20)
    place = f"127.0.0.1:{URL(server).port}"
    if "socks" in by:
        assert {f"me:mine@{place}"} == set(proxy.seen)
        return
    for head in proxy.seen:
        assert head.startswith(f"CONNECT {place} HTTP/1.1\r\n")
        assert 1 == head.count("\r\nProxy-Authorization: Basic bWU6bWluZQ==\r\n")
        assert "KEY" not in head


def test_a_websocket_whose_tunnel_is_refused_says_so(server):  # noqa: F811
    """It is the proxy's word, and nothing goes around it."""
    with Proxy(forwards=False) as proxy, WorkerPool(proxy=proxy.url) as pool, pytest.raises(ProxyError):
        pool.websocket(server).__enter__()


LOGINS = """
machine 127.0.0.1 login me password SECRET
machine colon login a:b password SECRET
default login any password OTHER
"""
MINE, ANY = "Basic bWU6U0VDUkVU", "Basic YW55Ok9USEVS"


@pytest.fixture
def echo(shared_site):
    """What arrived as Authorization, by each way to ask."""

    async def ask(session, url, **options):
        async with session.get(url, **options) as response:
            return (await response.json())["headers"].get("Authorization")

    def both(pool, url=None, **options):
        url = url or shared_site.url_for("/echo")
        return [
            pool.get(url, **options).json()["headers"].get("Authorization"),
            pool.post(url, data=b"x", **options).json()["headers"].get("Authorization"),
            pool.submit(ask, url, **options).result(),
        ]

    return both


def test_a_login_of_the_netrc_file_counts_for_everything(environment, echo, tmp_path, shared_site):
    """For a lane that trusts the environment, as it was when that was opened, unless a login is given."""
    (tmp_path / "netrc").write_text(LOGINS)
    with WorkerPool(trust_env=True, lanes=[Lane("other"), Lane("own", trust_env=True, auth=("o", "wn"))]) as pool:
        (tmp_path / "netrc").unlink()
        assert [MINE] * 3 == echo(pool)
        assert [ANY] * 3 == echo(pool, shared_site.url_for("/echo").replace("127.0.0.1", "localhost"))
        assert [None] * 3 == echo(pool.lane("other"))
        assert ["Basic bzp3bg=="] * 3 == echo(pool.lane("own"))
        assert ["Given x"] * 3 == echo(pool, headers={"Authorization": "Given x"})
        assert ["Basic dTpw"] * 3 == echo(pool, shared_site.url_for("/echo").replace("://", "://u:p@"))
        with pool.session() as browser:
            assert [None] * 3 == echo(browser)


def test_a_login_does_not_travel_with_a_redirect(environment, tmp_path, workerpool_server):
    """Each host gets its own, or none."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password SECRET")
    site = workerpool_server
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    for here in range(2):
        site.reply(f"/go{here}", status=302, headers={"Location": f"{elsewhere}/echo"})
    with WorkerPool(trust_env=True) as pool:
        assert "Authorization" not in pool.get(f"{site.url}/go0").json()["headers"]
        assert b"Authorization" not in pool.submit(fetch, f"{site.url}/go1").result()


@pytest.mark.parametrize("named", [True, False], ids=["named", "default"])
@pytest.mark.parametrize("elsewhere", [True, False], ids=["elsewhere", "same"])
def test_the_default_login_goes_where_the_caller_asks(environment, tmp_path, workerpool_server, elsewhere, named):
    """And to no host that only a redirect leads to: any server could have it. One that the file names has its own."""
    (tmp_path / "netrc").write_text("default login any password OTHER")
    if named:
        (tmp_path / "netrc").write_text(f"machine localhost login me password SECRET\n{LOGINS}")
    site = workerpool_server
    host = site.url.replace("127.0.0.1", "localhost") if elsewhere else site.url
    site.reply("/go", status=302, headers={"Location": f"{host}/echo"})
    with WorkerPool(trust_env=True) as pool:
        login = pool.get(f"{site.url}/go").json()["headers"].get("Authorization")
    assert (MINE if named else None if elsewhere else ANY) == login


@pytest.mark.parametrize("text", ["machine h login SECRET passwrd SECRET", "\x00\udcff", "login SECRET"])
def test_a_netrc_file_that_cannot_be_read_counts_for_nothing(environment, echo, tmp_path, text, caplog):
    """A warning names it, and nothing of what is in it."""
    (tmp_path / "netrc").write_bytes(text.encode("utf-8", "surrogateescape"))
    with WorkerPool(trust_env=True) as pool:
        assert [None] * 3 == echo(pool)
    assert "netrc cannot be read" in caplog.text
    assert "SECRET" not in caplog.text


def test_an_environment_tells_no_secrets():
    """Not by its repr either."""
    assert "SECRET" not in repr(Environment({"all": URL("http://u:SECRET@h")}, (), {"h": "SECRET"}))


def test_a_connector_that_cannot_use_a_socks_proxy_is_refused(environment):
    """It would go around it."""
    pytest.importorskip("aiohttp_socks")
    environment(ALL_PROXY="socks5h://127.0.0.1:9")
    with WorkerPool(trust_env=True, connector=lambda: aiohttp.UnixConnector("/nowhere")) as pool:
        with pytest.raises(InvalidRequest, match="SOCKS"):
            pool.get("http://h.test/")


@pytest.mark.parametrize("event_loop", LOOPS)
def test_each_hop_of_a_redirect_has_its_own_way(environment, event_loop, workerpool_server, secure):
    """From a host that is exempt to one that is not, and from http to https, by requests and functions."""
    site = workerpool_server
    site.reply("/out", status=302, headers={"Location": "http://h.test/"})
    site.reply("/safe", status=302, headers={"Location": f"{secure.url}/fast/1"})
    with Proxy() as plain, Proxy() as tunnels:
        environment(HTTP_PROXY=plain.url, HTTPS_PROXY=tunnels.url, NO_PROXY=f"127.0.0.1:{URL(site.url).port}")
        with WorkerPool(trust_env=True, event_loop=event_loop, ssl=secure.ssl_context) as pool:
            for path in ("/out", "/safe"):
                bodies = [pool.get(f"{site.url}{path}").content, pool.submit(fetch, f"{site.url}{path}").result()]
                assert 1 == len({len(body) for body in bodies})
    assert ["GET http://h.test/ HTTP/1.1"] * 2 == [head.split("\r\n")[0] for head in plain.seen]
    assert {f"CONNECT 127.0.0.1:{URL(secure.url).port} HTTP/1.1"} == {head.split("\r\n")[0] for head in tunnels.seen}


@pytest.mark.parametrize("event_loop", LOOPS)
def test_a_proxy_authorization_goes_to_the_proxy_at_each_hop(environment, event_loop, workerpool_server):
    """And not to the host that is exempt, which redirects to one that is not."""
    site = workerpool_server
    for _ in range(3):
        site.reply("/out", status=302, headers={"Location": "http://h.test/"})
    own = {"Proxy-Authorization": "Basic bWU6bWluZQ=="}
    with Proxy() as proxy:
        environment(HTTP_PROXY=proxy.url, NO_PROXY="127.0.0.1")
        with WorkerPool(trust_env=True, event_loop=event_loop, headers=own) as pool:
            assert b"by proxy" == pool.get(f"{site.url}/out").content
            assert b"by proxy" == pool.post(f"{site.url}/out", data=b"x").content
            assert b"by proxy" == pool.submit(fetch, f"{site.url}/out").result()
    assert 3 == len(site.requests)
    assert [] == [request for request in site.requests if "Proxy-Authorization" in request.headers]
    assert [1] * 3 == [head.count("\r\nProxy-Authorization: Basic bWU6bWluZQ==\r\n") for head in proxy.seen]
