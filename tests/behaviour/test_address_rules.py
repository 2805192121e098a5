"""Lanes with address rules: what is forbidden is connected to by no spelling, no redirect, no resolver and no verb."""

# ruff: noqa: RUF001  digits and dots of other scripts are what it is about

import pickle
import socket
from contextlib import ExitStack, contextmanager
from select import select

import aiohttp
import pytest
from proxies import SocksProxy
from servers import Scripted, ok

from workerpool import AddressRules, DNSError, Forbidden, InvalidRequest, Lane, RequestError, Retry, WorkerPool
from workerpool.testing import FakePool, Site
from workerpool.testing.scripted import TlsSite

RULES = AddressRules()
# Every one of them is an address of this machine, and a canary listens there.
HERE = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.1.", "127.0.1", "2130706433", "2130706433.", "0x7f000001", "0X7F000001", "0x7f.1",
    "0x7f.0.1", "0x7f.0x0.0x0.0x1", "0x7F.0.0.0X1", "0177.1", "0177.0.1", "0177.0.0.1", "0177.00.00.01", "017700000001",
    "0000177.0.0.1", "0x000000007f.1", "127.0x1", "127.0.01", "0177.0x0.1", "127.000.000.001", "127.0.0.0x1", "0", "0.", "0.0",
    "0.0.0", "0.0.0.0", "0x0", "00", "0x00000000", "0.0.0.0.", "１２７.０.０.１", "１２７.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1",
    "127｡0｡0｡1", "𝟭𝟮𝟳.𝟬.𝟬.𝟭", "２１３０７０６４３３", "0ｘ7f.1", "localhost", "LOCALHOST", "[::1]", "[0::1]", "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::0.0.0.1]", "[::]", "[0::0]", "[::1%25lo]", "[::1%lo]", "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:7f00:0001]", "[::ffff:0.0.0.0]", "[::ffff:0:0]", "[::ffff:127.0.0.1%25lo]",
    "user:word@127.0.0.1", "1.1.1.1@127.0.0.1", "1.1.1.1%23@127.0.0.1",
]  # fmt: skip
# Of these some lead here with a translator, and none is global.
ELSEWHERE = [
    "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::127.0.0.1]",
    "[64:ff9b:1:7f00:0:100::]", "[2002:7f00:1::]", "[2002:7f00:0001::1]", "[2002:a9fe:a9fe::]", "[2001:0:7f00:1::]",
    "[2001:0:808:808::80ff:fffe]", "[2606::5efe:127.0.0.1]", "[2606::200:5efe:7f00:1]", "[fe80::1%25lo]", "[fe80::1%eth0]", "[fec0::1]",
    "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]", "10.0.0.1", "167772161", "0xa.1",
    "012.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "2852039166", "0xa9fea9fe",
    "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "168.63.129.16", "192.0.2.1", "198.18.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "4294967295",
]  # fmt: skip
NO_NAMES = [
    "localhost.test",
    "127.0.0.1%00",
    "127.0.0.1%2e",
    "1%32%37.0.0.1",
    "127.0.0.1\\@1.1.1.1",
    "[::1].",
    "127.0.0.1..",
    "[v1.a]",
    "4294967297",
    "[::1",
    "0x7f.1.1.1.1",
]


class Canary:
    """Listens on a port of the machine's addresses, and tells whether anybody has connected."""

    def __init__(self, *addresses):
        self._sockets, self.port = [], 0
        for address in addresses:
            listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            self._sockets.append(listener)
            if ":" in address:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, self.port))
            listener.listen(200)
            self.port = listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for each in self._sockets:
            each.close()

    @property
    def is_reached(self):
        """A connection waits in the queue of a listener before its client knows of it."""
        return bool(select(self._sockets, [], [], 0)[0])

    def accept(self):
        return select(self._sockets, [], [], 60)[0][0].accept()[0]


def with_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def canary():
    with Canary("127.0.0.1", *(["::1"] if with_ipv6() else [])) as it:
        yield it


@pytest.fixture(scope="module")
def guarded():
    with WorkerPool(name="guarded", addresses=RULES, timeout=60, lanes=[Lane("free", timeout=60)]) as pool:
        yield pool


class Names(aiohttp.abc.AbstractResolver):
    """Answers each question with the next of its answers, and from then on with the last."""

    def __init__(self, *answers):
        self.asked = 0
        self._answers = answers

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC):
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [
            {"hostname": host, "host": each, "port": port, "family": socket.AF_INET6 if ":" in each else socket.AF_INET,
             "proto": 0, "flags": 0}
            for each in answer
        ]  # fmt: skip

    async def close(self):
        pass


def connector(*answers, **options):
    return lambda: aiohttp.TCPConnector(resolver=Names(*answers), **options)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", HERE + ELSEWHERE)
def test_a_forbidden_address_is_not_connected_to(host, scheme, canary, guarded):
    """However it is spelled."""
    with pytest.raises(Forbidden) as caught:
        guarded.get(f"{scheme}://{host}:{canary.port}/path?key=secret")
    error = caught.value
    assert not canary.is_reached
    assert error.rule
    assert error.address
    assert ("connect", "default", "GET") == (error.stage, error.lane, error.method)
    assert error.rule in str(error)
    assert "AddressRules(allow=" in str(error)
    assert "secret" not in repr(vars(error)) + str(error)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


@pytest.mark.parametrize("host", NO_NAMES)
def test_what_is_no_host_is_not_connected_to_either(host, canary, guarded):
    """Whatever another library would make of it."""
    with pytest.raises((InvalidRequest, DNSError)):
        guarded.get(f"http://{host}:{canary.port}/")
    assert not canary.is_reached


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
def test_the_canary_would_have_heard_of_it(host, guarded):
    """Without rules these spellings lead to it."""
    with Canary("127.0.0.1") as other:
        job = guarded.lane("free").submit(f"http://{host}:{other.port}/")
        other.accept().close()
        job.cancel()


def test_there_are_enough_spellings():
    """Eighty at least."""
    assert len({*HERE, *ELSEWHERE}) >= 100


@pytest.mark.parametrize("address", [
    "127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::",
    "2001:0:7f00:1::", "fe80::1%lo", "10.0.0.1", "169.254.169.254", "fd00:ec2::254", "fec0::1", "ff02::1", "127.1", "0x7f.1", "not-an-address",
])  # fmt: skip
@pytest.mark.parametrize("cached", [True, False])
def test_what_a_name_resolves_to_is_judged(address, cached, canary):
    """Also where a resolver of one's own answers what is no address."""
    with WorkerPool(addresses=RULES, connector=connector([address], use_dns_cache=cached)) as pool:
        for _ in range(2):
            with pytest.raises(Forbidden):
                pool.get(f"http://host.test:{canary.port}/")
    assert not canary.is_reached


def test_a_name_with_one_forbidden_address_is_forbidden():
    """Whichever of them would win the race."""
    with Canary("127.0.0.2") as canary, Canary("127.0.0.1") as allowed:
        for addresses in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "::1"]):
            rules = AddressRules(allow="127.0.0.1/32")
            with WorkerPool(addresses=rules, connector=connector(addresses, happy_eyeballs_delay=0.0)) as pool:
                with pytest.raises(Forbidden):
                    pool.get(f"http://host.test:{canary.port}/")
        assert not canary.is_reached
        assert not allowed.is_reached


def test_a_name_that_is_bound_anew_is_judged_anew():
    """For each connection, whatever was good before."""
    with Scripted([ok(b"1", b"Connection: close")], again=True) as server, Canary("127.0.0.2") as canary:
        rules = AddressRules(allow="127.0.0.1/32")
        names = connector(["127.0.0.1"], ["127.0.0.2"], use_dns_cache=False)
        with WorkerPool(addresses=rules, connector=names) as pool:
            assert pool.get(f"http://host.test:{server.port}/").ok
            for url in (f"http://host.test:{server.port}/", f"http://host.test:{canary.port}/"):
                with pytest.raises(Forbidden) as caught:
                    pool.get(url)
                assert "127.0.0.2" == caught.value.address
        assert not canary.is_reached


class Misled(socket.socket):
    """Connects elsewhere than it is told to."""

    there = ("", 0)

    def connect(self, _address):
        return super().connect(self.there)


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_address_that_was_reached_is_judged_before_a_byte_is_sent(scheme, event_loop):
    """Where the addresses were good, and the connection leads elsewhere all the same."""
    with Canary("127.0.0.2") as canary:
        kind = type("Lost", (Misled,), {"there": ("127.0.0.2", canary.port)})

        def lost():
            return aiohttp.TCPConnector(socket_factory=lambda info: kind(info[0], info[1], info[2]))

        with WorkerPool(addresses=AddressRules(allow="127.0.0.1/32"), connector=lost, event_loop=event_loop) as pool:
            with pytest.raises(Forbidden) as caught:
                pool.get(f"{scheme}://127.0.0.1:{canary.port}/")
            assert ("loopback", "127.0.0.2") == (caught.value.rule, caught.value.address)
            with canary.accept() as connection:
                connection.settimeout(60)
                assert b"" == connection.recv(1)


REDIRECTS = [
    "//127.0.0.2:{port}/", "http://127.0.0.2:{port}/", "HTTP://127.0.0.2:{port}", "http://127.0.0.2.:{port}/", "http:\\\\127.0.0.2:{port}/",
    "http://[::ffff:127.0.0.2]:{port}/", "http://[64:ff9b::7f00:2]:{port}/", "http://[2002:7f00:2::]:{port}/", "http://１２７.０.０.２:{port}/",
    "http://①②⑦.0.0.②:{port}/", "http://127。0。0。2:{port}/", "http://2130706434:{port}/", "http://0x7f.2:{port}/", "http://0177.0.0.2:{port}/",
    "http://127.2:{port}/", "http://0x7f000002:{port}/", "http://[::1]:{port}/", "http://user@127.0.0.2:{port}/", "http://169.254.169.254/",
    "http://[fd00:ec2::254]/", "http://0:{port}/", "https://127.0.0.2:{port}/", "ftp://127.0.0.2:{port}/", "file:///etc/passwd",
    "http://[fe80::1%25lo]:{port}/", "gopher://127.0.0.2:{port}/_x",
]  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", REDIRECTS)
def test_a_redirect_leads_to_no_forbidden_address(location, status):
    """Each hop is judged; spellings that no two programs read alike are followed nowhere."""
    with Canary("127.0.0.2") as canary:
        head = f"HTTP/1.1 {status} Found\r\nLocation: {location.format(port=canary.port)}\r\nContent-Length: 0\r\n\r\n"
        with Scripted([head.encode()], again=True) as server:
            with WorkerPool(addresses=AddressRules(allow="127.0.0.1/32"), connections=1) as pool:
                for ask in (pool.get, lambda url: pool.submit(url).result()):
                    with pytest.raises(RequestError):
                        ask(server.url)
                job = pool.submit(by_aiohttp, server.url)
                with pytest.raises((Forbidden, aiohttp.ClientError, OSError)):
                    job.result()
        assert not canary.is_reached


async def by_aiohttp(session, url, **options):
    async with session.get(url, **options) as response:
        return response.status


def opened(context):
    with context as it:
        return it


WAYS = [
    lambda client, url: client.get(url),
    lambda client, url: client.post(url, data=b"a" * 100_000),
    lambda client, url: client.put(url, data=iter([b"a"])),
    lambda client, url: client.head(url),
    lambda client, url: client.submit(url).result(),
    lambda client, url: next(iter(client.fetch_many([url]))).unwrap(),
    lambda client, url: opened(client.stream("GET", url)),
    lambda client, url: opened(client.websocket(url.replace("http", "ws"))),
    lambda client, url: client.submit(by_aiohttp, url).result(),
    lambda client, url: client.submit(by_aiohttp, "http://1.1.1.1/", proxy=url).result(),
]


def test_every_way_is_guarded(canary):
    """Each verb, functions, streams, WebSockets, sessions, and other lanes' requests that lead here."""
    url = f"http://127.0.0.1:{canary.port}/"

    with WorkerPool(lanes=[Lane("guarded", addresses=RULES, retry=Retry(attempts=5))]) as pool, ExitStack() as stack:
        session = stack.enter_context(pool.session(addresses=RULES))
        alike = stack.enter_context(pool.like("guarded", headers={"a": "b"}))
        for client in (pool.lane("guarded"), session, alike):
            for way in WAYS:
                with pytest.raises(Forbidden) as caught:
                    way(client, url)
                assert caught.value.attempts <= 1
    assert not canary.is_reached


def test_the_adapters_are_guarded(canary):
    """What is forbidden is an error of requests or httpx that programs do not try again."""
    requests, httpx = pytest.importorskip("requests"), pytest.importorskip("httpx")
    from urllib3.util import Retry as TheirRetry

    from workerpool.adapters.httpx import PoolTransport
    from workerpool.adapters.requests import PoolAdapter

    url = f"http://127.0.0.1:{canary.port}/"
    with WorkerPool(lanes=[Lane("guarded", addresses=RULES)]) as pool:
        for retries in (0, TheirRetry(5)):
            with requests.Session() as session:
                session.mount("http://", PoolAdapter(pool, lane="guarded", max_retries=retries))
                with pytest.raises(requests.exceptions.InvalidURL, match="loopback"):
                    session.get(url)
        with httpx.Client(transport=PoolTransport(pool, lane="guarded")) as client:
            with pytest.raises(httpx.LocalProtocolError, match="loopback"):
                client.get(url)
    assert not canary.is_reached


def test_what_is_allowed_works():
    """By every way, over kept connections and with TLS, at the same speed as without rules."""
    with TlsSite() as site:
        rules = AddressRules(allow="127.0.0.0/8", ports={site.port} if hasattr(site, "port") else None)
        with WorkerPool(addresses=rules, ssl=site.ssl_context, connections=4) as pool:
            assert all(each.ok for each in pool.fetch_many([f"{site.url}/fast/{n}" for n in range(50)]))
            assert pool.get(f"{site.url}/redirect/3").ok
            assert 200 == pool.submit(by_aiohttp, f"{site.url}/fast/1").result()
            with pool.stream("GET", f"{site.url}/fast/1") as answer:
                assert answer.read()
    with Site() as site, WorkerPool(addresses=AddressRules(allow="127.0.0.0/8")) as pool:
        for number in range(5):
            assert pool.get(f"{site.url}/fast/{number}").ok
        assert sum(lane.direct for lane in pool.stats().lanes) == 4


def test_a_kept_connection_is_not_another_lanes():
    """What one lane has open no other lane uses."""
    with Site() as site, WorkerPool(workers=1, lanes=[Lane("guarded", addresses=RULES)]) as pool:
        assert pool.get(site.url).ok
        with pytest.raises(Forbidden):
            pool.lane("guarded").get(site.url)
        assert pool.get(site.url).ok


def test_ports_and_schemes(shared_site):
    """Are judged before anything is looked up."""
    port = int(shared_site.url.rpartition(":")[2])
    lanes = [
        Lane("port", addresses=AddressRules(allow="127.0.0.0/8", ports={80, 443})),
        Lane("scheme", addresses=AddressRules(allow="127.0.0.0/8", schemes={"https"})),
        Lane("good", addresses=AddressRules(allow="127.0.0.0/8", ports={port}, schemes={"http"})),
    ]
    with WorkerPool(lanes=lanes) as pool:
        assert pool.lane("good").get(shared_site.url).ok
        for name in ("port", "scheme"):
            for url in (shared_site.url, f"http://no.such.name.test:{port}/"):
                with pytest.raises(Forbidden) as caught:
                    pool.lane(name).get(url)
                assert (name, "") == (caught.value.rule, caught.value.address)


@contextmanager
def unix_site(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


def test_a_unix_socket_is_refused(tmp_path):
    """It has no address, whichever way it is made."""
    path = tmp_path / "it"
    with unix_site(path) as listener:
        kind = type("Lost", (Misled,), {"there": str(path)})

        def hidden():
            return aiohttp.TCPConnector(socket_factory=lambda _info: kind(socket.AF_UNIX))

        with WorkerPool(addresses=RULES, connector=lambda: aiohttp.UnixConnector(str(path))) as pool:
            with pytest.raises(Forbidden) as caught:
                pool.get("http://host.test/")
            assert "unix socket" == caught.value.rule
            assert not select([listener], [], [], 0)[0]
        with WorkerPool(addresses=AddressRules(allow="127.0.0.0/8"), connector=hidden, event_loop="asyncio") as pool:
            with pytest.raises(Forbidden) as caught:
                pool.get("http://127.0.0.1/")
            assert "unix socket" == caught.value.rule


def test_a_connector_that_connects_by_itself_is_refused(shared_site):
    """As one that goes through a SOCKS proxy: no address is seen."""
    socks = pytest.importorskip("aiohttp_socks")
    with SocksProxy() as proxy:
        for remote in (True, False):

            def made(remote=remote):
                return socks.ProxyConnector.from_url(proxy.url.replace("socks5h", "socks5"), rdns=remote)

            with WorkerPool(addresses=AddressRules(allow="127.0.0.0/8"), connector=made) as pool:
                with pytest.raises(Forbidden) as caught:
                    pool.get(shared_site.url.replace("127.0.0.1", "localhost"), timeout=60)
                assert "connector" == caught.value.rule


def test_a_connector_that_another_lane_has_is_refused(shared_site):
    """Its connections were not judged."""
    made = []

    def shared():
        made.append(made[0] if made else aiohttp.TCPConnector())
        return made[0]

    with WorkerPool(workers=1, connector=shared, lanes=[Lane("guarded", connector=shared, addresses=RULES)]) as pool:
        assert pool.get(shared_site.url).ok
        with pytest.raises(InvalidRequest, match="connector"):
            pool.lane("guarded").get(shared_site.url)


@pytest.mark.parametrize("options", [{"proxy": "http://127.0.0.1:1"}, {"trust_env": True}])
def test_there_is_no_proxy_beside_rules(options):
    """Nor that of the environment: nobody would see what it connects to."""
    (name,) = options
    with pytest.raises(InvalidRequest, match=f"{name} must not be set beside addresses="):
        Lane("a", addresses=RULES, **options)
    with pytest.raises(InvalidRequest, match=name):
        WorkerPool(addresses=RULES, **options)


def test_the_environments_proxy_is_not_asked(monkeypatch, canary, shared_site):
    """As without rules: a lane does not trust it unless told to."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{canary.port}")
    with WorkerPool(addresses=AddressRules(allow="127.0.0.0/8")) as pool:
        assert pool.get(shared_site.url).ok
    assert not canary.is_reached


def test_a_pool_without_a_network_keeps_to_rules():
    """As far as they are about the URL: it has no addresses."""
    with FakePool(addresses=AddressRules(ports={443})) as pool:
        pool.reply("https://host.test/", text="ok")
        assert "ok" == pool.get("https://host.test/").text
        for url in ("http://host.test/", "https://127.0.0.1/"):
            with pytest.raises(Forbidden):
                pool.get(url)
