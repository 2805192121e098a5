"""Address rules as values: which addresses are global, whatever is embedded in them, and what is said of the others."""

# ruff: noqa: RUF001  digits and dots of other scripts are what it is about

import pickle
from dataclasses import FrozenInstanceError
from ipaddress import ip_address, ip_network

import pytest
from yarl import URL

from workerpool import AddressRules

GLOBAL = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2001:200::1", "2620:4f:8000::1",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2001:0:808:808:0:0:f7f7:f7f7", "2606::5efe:8.8.8.8",
]  # fmt: skip
REFUSED = {
    "unspecified": ["0.0.0.0", "0.255.255.255", "::", "::ffff:0.0.0.0", "64:ff9b:1:808:8:800::"],
    "loopback": [
        "127.0.0.1", "127.255.255.255", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
        "64:ff9b:1::127.0.0.1", "2002:7f00:1::", "2002:7f00:1::8.8.8.8", "2001:0:7f00:1::", "2001:0:808:808::80ff:fffe",
        "2606::5efe:127.0.0.1", "2606::200:5efe:127.0.0.1", "fe80::5efe:127.0.0.1",
    ],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "::ffff:10.0.0.1", "64:ff9b::c0a8:1", "2002:a00:1::"],
    "carrier-grade nat": ["100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "2002:a9fe:1::"],
    "site-local": ["fec0::1", "feff::1"],
    "unique-local": ["fc00::1", "fdff::1"],
    "metadata": [
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254",
        "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254",
    ],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1", "::ffff:224.0.0.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "reserved": ["192.0.0.1", "192.88.99.1", "240.0.0.1", "255.255.255.255", "2001:10::1", "4000::1", "::8.8.8.8", "100::1", "5f00::1", "64:ff9b:0:1::1"],
    "local nat64": ["64:ff9b:1::8.8.8.8"],
}  # fmt: skip
LOOPBACK = [
    "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0X7F.0.0.1", "0177.0.0.1", "0177.1", "017700000001", "127.0.0.1.",
    "0000177.1", "[::1]", "[::1%25lo]", "[::1%lo]", "127.000.000.001", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127｡0｡0｡1",
]  # fmt: skip


@pytest.mark.parametrize("address", GLOBAL)
def test_global_addresses_are_allowed(address):
    """And those that lead to one."""
    verdict = AddressRules().explain(address)
    assert verdict
    assert "global" == verdict.rule
    assert verdict == AddressRules().explain(ip_address(address))


@pytest.mark.parametrize(("rule", "address"), [(rule, each) for rule, all_of in REFUSED.items() for each in all_of])
def test_all_others_are_refused_by_name(rule, address):
    """The rule says what they are, or what is embedded in them."""
    verdict = AddressRules().explain(ip_address(address))
    assert not verdict
    assert (False, rule) == (verdict.allowed, verdict.rule)
    assert ip_address(address.partition("%")[0]) == ip_address(verdict.address)


@pytest.mark.parametrize("host", LOOPBACK)
def test_an_address_is_known_however_it_is_spelled(host):
    """As inet_aton reads it, and as IDNA does."""
    for given in (host, f"http://{host}/", f"https://{host}:8080/a?b#c", f"ws://user:word@{host}/"):
        assert "loopback" == AddressRules().explain(given).rule


def test_a_name_is_neither_allowed_nor_refused():
    """It is false, so that nobody takes it for allowed."""
    verdict = AddressRules().explain("https://host.test/")
    assert (None, "name", False) == (verdict.allowed, verdict.rule, bool(verdict))


@pytest.mark.parametrize(
    ("url", "rules", "rule"),
    [
        ("ftp://1.1.1.1/", AddressRules(), "scheme"),
        ("file:///etc/passwd", AddressRules(), "scheme"),
        ("//1.1.1.1/", AddressRules(), "scheme"),
        ("http://1.1.1.1/", AddressRules(schemes={"https"}), "scheme"),
        ("ws://1.1.1.1/", AddressRules(schemes="https"), "scheme"),
        ("wss://1.1.1.1/", AddressRules(schemes=["HTTPS"]), "global"),
        ("http://1.1.1.1:22/", AddressRules(ports={80, 443}), "port"),
        ("http://1.1.1.1/", AddressRules(ports={443}), "port"),
        ("https://1.1.1.1/", AddressRules(ports=443), "global"),
        ("http://1.1.1.1:99999/", AddressRules(), "url"),
        ("http://[::1/", AddressRules(), "url"),
        ("http:///path", AddressRules(), "url"),
        ("", AddressRules(), "url"),
        ("1.1.1.1:80", AddressRules(), "url"),
    ],
)
def test_schemes_and_ports(url, rules, rule):
    """WebSockets count as what they are opened by."""
    assert rule == rules.explain(url).rule
    assert (rule == "global") == bool(rules.explain(url))


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.0.0.1", "allow 127.0.0.0/8"),
        ("::ffff:127.0.0.1", "allow 127.0.0.0/8"),
        ("64:ff9b::7f00:1", "allow 127.0.0.0/8"),
        ("127.0.0.9", "deny 127.0.0.8/30"),
        ("::ffff:127.0.0.9", "deny 127.0.0.8/30"),
        ("8.8.8.8", "deny 8.8.0.0/16"),
        ("2606:4700::1", "deny 2606::/16"),
        ("fd00::1", "allow fd00::/8"),
        ("fd00::5efe:192.168.0.1", "private"),
        ("64:ff9b::1.1.1.1", "global"),
        ("10.0.0.1", "allow 10.0.0.0/24"),
        ("10.0.1.1", "private"),
    ],
)
def test_deny_goes_before_allow_and_that_before_all_else(address, rule):
    """Also for what is embedded."""
    allow = ["127.0.0.0/8", ip_network("fd00::/8"), "::ffff:10.0.0.0/120"]
    rules = AddressRules(allow=allow, deny=("127.0.0.8/30", "8.8.0.0/16", "2606::/16"))
    assert rule == rules.explain(address).rule


def test_an_embedded_address_is_not_allowed_by_the_network_around_it():
    """A translator that may be used leads nowhere that is not allowed by itself."""
    rules = AddressRules(allow=["64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"])
    for address in ("64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::"):
        assert "loopback" == rules.explain(address).rule
    assert rules.explain("64:ff9b:1::8.8.8.8")
    assert not AddressRules(deny="64:ff9b::/96").explain("64:ff9b::8.8.8.8")


def test_rules_are_values():
    """Frozen, comparable, hashable, picklable."""
    rules = AddressRules(allow="127.0.0.0/8", ports=[80, 80])
    assert rules == AddressRules(allow=["127.0.0.0/8"], ports={80}) == pickle.loads(pickle.dumps(rules))
    assert hash(rules) == hash(AddressRules(allow=("127.0.0.0/8",), ports=(80,)))
    assert rules.explain(URL("http://127.0.0.1/"))
    with pytest.raises(FrozenInstanceError):
        rules.allow = ()


@pytest.mark.parametrize(
    ("argument", "value", "kind"),
    [
        ("allow", "127.0.0.1/8", ValueError),
        ("allow", "host.test", ValueError),
        ("allow", ["::1", 5], TypeError),
        ("allow", 5, TypeError),
        ("deny", b"127.0.0.0/8", TypeError),
        ("deny", None, TypeError),
        ("schemes", ["ftp"], ValueError),
        ("schemes", (), ValueError),
        ("ports", [], ValueError),
        ("ports", [0], ValueError),
        ("ports", "80", TypeError),
        ("ports", [True], TypeError),
        ("ports", range(70_000), ValueError),
    ],
)
def test_what_cannot_be_is_refused_by_name(argument, value, kind):
    """At once."""
    with pytest.raises(kind, match=argument):
        AddressRules(**{argument: value})
