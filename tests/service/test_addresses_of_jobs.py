"""No job and no webhook reaches what the address rules forbid, however it is spelled and whatever leads there."""

import socket
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from forbidden import canaries, leading, spellings
from inside import Inside
from receiver import receiving
from servers import Handler, running

from workerpool.service.policy import usual_rules

ALLOWED = "127.0.0.2"


class Leading(Handler):
    """Redirects to where its query says."""

    def do_GET(self):
        to = parse_qs(urlsplit(self.path).query).get("to")
        self.answer(200, b"here") if to is None else self.answer(
            302, b"", {"Location": to[0].encode().decode("latin-1")}
        )

    do_POST = do_GET


@pytest.fixture
def canary():
    with canaries() as found:
        yield found


@pytest.fixture
def guarded(monkeypatch, database, tmp_path):
    """A service that may reach one address of this machine, and a resolver that cannot be trusted."""
    monkeypatch.setattr(socket, "getaddrinfo", leading(socket.getaddrinfo, ALLOWED))
    with Inside(database, tmp_path, addresses=usual_rules((f"{ALLOWED}/32",)), default_timeout=3.0) as service:
        yield service


@pytest.fixture
def site_of_redirects():
    with running(ThreadingHTTPServer((ALLOWED, 0), Leading)) as server:
        yield f"http://{ALLOWED}:{server.server_port}"


def test_there_are_enough_spellings(canary):
    """80 and more, for each of the ports."""
    assert len(set(spellings(1))) >= 80


def test_no_job_reaches_a_forbidden_address(guarded, canary):
    """It is refused with its job, or has failed."""
    ids = []
    for url in spellings(*canary.ports):
        answer = guarded.call("POST", "/v1/jobs", json={"url": url, "retry": {"attempts": 2}})
        assert answer.status_code in (202, 403, 422), url
        if answer.status_code == 202:
            ids.append(answer.json()["id"])
    for id in ids:
        guarded.done(id)
        [result] = guarded.results(id)
        assert not result["ok"] or "rebinding" in result["url"], result
    assert canary.visits == []


def test_no_redirect_reaches_a_forbidden_address(guarded, canary, site_of_redirects):
    """From an address that is allowed, on each hop."""
    requests = [{"url": f"{site_of_redirects}/", "params": {"to": url}} for url in spellings(*canary.ports)]
    requests += [{**each, "method": "POST", "data": "x"} for each in requests[:20]]
    id = guarded.submit(*requests, retry={"attempts": 2})
    guarded.done(id)
    results = guarded.results(id)
    assert len(results) == len(requests)
    assert not [each for each in results if each["ok"]]
    assert canary.visits == []


def test_no_webhook_reaches_a_forbidden_address(guarded, canary, site_of_redirects):
    """It is refused with its job, or it has failed when it is sent; a name that leads there is not tried again."""
    told = {}
    for url in spellings(*canary.ports):
        job = {"url": f"{site_of_redirects}/", "webhook": {"url": url}}
        answer = guarded.call("POST", "/v1/jobs", json=job)
        assert answer.status_code in (202, 403, 422), url
        if answer.status_code == 202:
            told[url] = answer.json()["id"]
    assert f"http://canary.test:{canary.ports[0]}/" in told
    for url, id in told.items():
        found = guarded.wait_for(lambda id=id: next(iter(_tried(guarded, id)), None))
        assert found["state"] != "delivered", url
        if "canary" in url:
            assert (found["state"], found["due_at"]) == ("failed", None)
            assert "rule 'loopback'" in found["tries"][0]["error"]
    assert canary.visits == []


def test_what_is_allowed_is_reached(guarded, canary, site_of_redirects):
    """The same service, the same resolver: so that the tests above show something."""
    port = site_of_redirects.rpartition(":")[2]
    id = guarded.submit(f"{site_of_redirects}/", f"http://allowed.test:{port}/")
    assert guarded.done(id)["state"] == "succeeded"
    socket.create_connection(("127.0.0.1", canary.ports[0])).close()
    guarded.wait_for(lambda: canary.visits)


def test_a_name_that_changes_is_judged_each_time(guarded, site_of_redirects, canary):
    """What it led to before does not count: it reaches what is allowed, and nothing else."""
    port = site_of_redirects.rpartition(":")[2]
    urls = [f"http://rebinding.test:{port}/{n}" for n in range(20)] + [
        f"http://rebinding.test:{canary.ports[0]}/{n}" for n in range(20)
    ]
    id = guarded.submit(*urls, retry={"attempts": 1})
    guarded.done(id)
    errors = {each["error"]["type"] for each in guarded.results(id) if each["error"]}
    assert "Forbidden" in errors
    assert canary.visits == []


@pytest.mark.parametrize(("url", "allowed", "rule", "addresses"), [
    ("http://10.0.0.1/", False, "private", ["10.0.0.1"]), ("http://0x7f.1/", False, "loopback", ["127.0.0.1"]),
    ("http://127.0.0.2/", True, "allow 127.0.0.2/32", ["127.0.0.2"]), ("http://8.8.8.8/", True, "global", ["8.8.8.8"]),
    ("http://8.8.8.8:25/", False, "port", ["8.8.8.8"]), ("http://both.test/", False, "loopback", ["127.0.0.2", "127.0.0.1"]),
    ("http://allowed.test/", True, "allow 127.0.0.2/32", ["127.0.0.2"]), ("http://no.invalid/", False, "name", []),
    ("ftp://8.8.8.8/", False, "url", []), ("http://[64:ff9b::a00:1]/", False, "private", ["64:ff9b::a00:1"]), ("x", False, "url", []),
])  # fmt: skip
def test_the_rules_are_explained(guarded, url, allowed, rule, addresses):
    """By rule, and what a name resolves to."""
    found = guarded.get("/v1/policy/explain", params={"url": url})
    assert (found["allowed"], found["rule"], found["addresses"]) == (allowed, rule, addresses)


def test_a_port_may_be_allowed(database, tmp_path):
    """Those of other protocols are forbidden, unless they are named."""
    with Inside(database, tmp_path, addresses=usual_rules(ports=(25,))) as service:
        assert service.get("/v1/policy/explain", params={"url": "http://8.8.8.8:25/"})["allowed"]


def test_no_proxy_of_the_environment_is_asked(monkeypatch, database, tmp_path, site):
    """Nor are logins taken from a netrc."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with Inside(database, tmp_path) as service, receiving() as receiver:
            id = service.submit(site.url_for("/echo"), webhook={"url": receiver.url})
            service.done(id)
            sent = service.call("GET", f"/v1/jobs/{id}/results/0/body").json()
            [message] = receiver.wait_for(1)
    assert "authorization" not in {name.lower() for name in sent["headers"]} | message.headers.keys()
    assert proxy.messages == []


def _tried(service, id):
    found = service.get(f"/v1/jobs/{id}/deliveries")["deliveries"]
    return [each for each in found if each["tries"] and (each["tries"][-1]["status"] or each["tries"][-1]["error"])]
