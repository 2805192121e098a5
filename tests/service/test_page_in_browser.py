"""The page in a real browser: no script but its own runs, no other site acts, all of it by keyboard, wide and narrow."""

import json
import os
import sqlite3
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import CHROMIUM, browser, tab
from page_site import HOSTILE, site
from served import served

pytestmark = pytest.mark.skipif(CHROMIUM is None and not os.getenv("CI"), reason="needs Chromium")
TOKENS = "read:reader-token,submit:submit-token,admin:admin-token"
LATER = "2030-01-01T00:00:00Z"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def web():
    with site() as found:
        yield found


@pytest.fixture(scope="module")
def busy(web, tmp_path_factory):
    """A service with something of everything."""
    folder = tmp_path_factory.mktemp("busy")
    with served(str(folder / "busy.sqlite"), folder) as service:
        service.call("PUT", "/v1/lanes/slow", json={"connections": 4, "per_host": 2, "rate": 50})
        service.call("PUT", "/v1/lanes/paused-lane", json={"paused": True})
        labels = {f"label-{number}": f"value {number}" for number in range(14)}
        long = {"url": f"{web.url}/page/{'long-segment/' * 20}?q={'x' * 300}", "ref": "row 17 of the catalogue"}
        urls = [f"{web.url}/page/{number}" for number in range(15)]
        service.done(service.submit(
            long, f"{web.url}/missing/1", "http://no-such-host.invalid/", *urls, id="mixed", labels=labels,
            webhook={"url": f"{web.url}/hook"}, retry={"attempts": 2},
        ))  # fmt: skip
        service.submit(
            f"{web.url}/page/1", *[f"{web.url}/hang/{number}" for number in range(9)], id="running", lane="slow"
        )
        service.submit(f"{web.url}/page/1", id="paused", lane="paused-lane", labels={"team": "tea"})
        service.submit(f"{web.url}/page/1", id="later", not_before=LATER)
        service.submit(f"{web.url}/page/1", id="cancelled", not_before=LATER)
        service.call("POST", "/v1/jobs/cancelled/cancel")
        service.wait_for(lambda: service.job("running")["counts"]["succeeded"])
        log_tries(service, "mixed", "ConnectTimeout: no answer within 15 s")
        yield service


def log_tries(service, job, error, at=1796000000.5, url=None):
    """Have a delivery's log tell of tries, as only a sender writes it."""
    tries = [
        {"at": at, "status": 500, "error": error, "elapsed": 0.1},
        {"at": at, "status": None, "error": error, "elapsed": 15.0},
    ]
    change(
        service, "UPDATE delivery SET due = NULL, state = 'failed', tries = ?, url = ifnull(?, url)"
        " WHERE job = (SELECT key FROM job WHERE id = ?)", json.dumps(tries), url, job,
    )  # fmt: skip


def change(service, text, *values):
    """Change the database behind the service's back."""
    db = sqlite3.connect(service.database, timeout=30)
    with db:
        assert db.execute(text, values).rowcount == 1
    db.close()


PAGES = ("/", "/jobs", "/jobs?label=team:tea&q=nothing", "/jobs/mixed", "/jobs/mixed?show=failed", "/jobs/running",
         "/jobs/later", "/jobs/mixed/requests/0", "/jobs/mixed/requests/2", "/jobs/running/cancel", "/jobs/mixed/retry",
         "/bulk?action=delete", "/lanes", "/lanes/slow", "/submit")  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_each_page_fits_and_is_for_everybody(chromium, busy, width, dark):
    """Nothing is wider than the screen, no rule of accessibility is broken, nobody else is asked, nothing is refused."""
    rules = RULES if dark == (width == 390) else ["color-contrast"]  # the others are the same in both colours
    with tab(chromium, busy.url, width=width, dark=dark) as seen:
        for path in PAGES:
            seen.page.goto(path)
            if path == "/":
                seen.page.locator("[data-chart=time] canvas").wait_for()
            assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
            assert [] == broken_rules(seen.page, rules), path
        assert ([], []) == (seen.said, seen.dialogs)
        assert [] == [each for each in seen.asked if not each.startswith(busy.url)]


def broken_rules(page, rules=RULES):
    """Return what axe finds wrong, after a look at whether it has looked."""
    found = Axe().run(page, options={"runOnly": rules}).response
    assert "color-contrast" in {each["id"] for each in found["passes"]}
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found["violations"]]


def test_empty_pages_say_so(chromium, tmp_path):
    with served(str(tmp_path / "empty.sqlite"), tmp_path) as service, tab(chromium, service.url) as seen:
        for path, text in (
            ("/", "There are no jobs yet."),
            ("/jobs", "There are no jobs yet."),
            ("/jobs?q=x", "No job matches."),
        ):
            seen.page.goto(path)
            assert text in seen.page.inner_text("main")
        assert [] == seen.said


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_no_text_from_elsewhere_is_more_than_text(chromium, web, tmp_path, scripts):
    """Whatever holds markup, scripts or odd links is shown as it is; the policy has nothing to refuse."""
    with served(str(tmp_path / "hostile.sqlite"), tmp_path) as service:
        plain = HOSTILE.replace("\x00", "")
        queried = f"{web.url}/hostile/{plain.replace(' ', '%20')}"
        id = service.submit(
            {"url": queried, "ref": HOSTILE}, {"url": f"{web.url}/missing/1", "ref": "javascript:alert(5)"},
            {"url": f"http://user:secret@no-such-host.invalid/{plain.replace(' ', '%20')}"},
            {"url": f"{web.url}/to/\u202e"}, id="hostile", labels={f"<b>{HOSTILE}"[:60].replace(":", ";"): HOSTILE[:250], "a\u202eb": "x"},
            webhook={"url": f"http://a.example/{plain.replace(' ', '%20')}"}, retry={"attempts": 1},
        )  # fmt: skip
        service.done(id)
        log_tries(service, id, HOSTILE, at=HOSTILE, url=f"javascript:alert(6)//{HOSTILE}")
        change(service, "UPDATE result SET final = 'javascript:alert(7)' WHERE n = 0")
        with tab(chromium, service.url, java_script_enabled=scripts) as seen:
            for path in ("/", "/jobs", "/jobs/hostile", *(f"/jobs/hostile/requests/{n}" for n in range(4)), "/jobs/hostile/retry",
                         f"/jobs?q={quoted(HOSTILE)}&label={quoted('a:' + HOSTILE)}", f"/jobs?lane={quoted(HOSTILE)}&state=failed",
                         f"/bulk?action=delete&q={quoted(HOSTILE)}", f"/submit?lane={quoted(HOSTILE)}"):  # fmt: skip
                seen.page.goto(path)
                if not scripts:
                    continue
                assert seen.page.evaluate("window.canary") is None, path
                links = seen.page.eval_on_selector_all(
                    "[href], [src], [action]",
                    """all => all.map((each) =>
                    new URL(each.getAttribute("href") ?? each.getAttribute("src") ?? each.getAttribute("action"), document.baseURI).href)""",
                )
                assert {True} == {each.startswith(("http://", "https://")) for each in links}, path
                assert 0 == seen.page.locator("[onerror], [onfocus], main img, main script").count()
            seen.page.goto("/jobs/hostile/requests/0")
            assert HOSTILE in seen.page.inner_text("main")
            assert "javascript:alert(7)" in seen.page.inner_text("main")
            seen.page.goto("/jobs/hostile/requests/2")
            assert "secret" not in seen.page.content()
            seen.page.goto(f"/jobs?q={quoted(HOSTILE)}")
            assert HOSTILE in seen.page.input_value("#q")
            assert [] == seen.dialogs
            assert [] == seen.said
            assert [] == [each for each in seen.asked if not each.startswith(service.url)]


def quoted(text):
    return quote(text, safe="")


def test_a_body_is_kept_and_never_shown(chromium, busy, web):
    with tab(chromium, busy.url) as seen:
        seen.page.goto("/jobs/mixed/requests/0")
        with seen.page.expect_download() as download:
            seen.page.get_by_role("link", name="Download").click()
        assert b"<script>top.canary=3</script>" in download.value.path().read_bytes()
        with seen.page.expect_download():
            seen.page.evaluate("location.href = '/jobs/mixed/requests/0/body'")
        assert seen.page.evaluate("window.canary") is None


ATTACK = """<!doctype html><body><iframe name="out" src="{target}/"></iframe>
<form id="one" method="post" target="out" action="{target}/jobs/victim/cancel"><input name="form_key" value="{key}"></form>
<form id="two" method="post" target="out" action="{target}/bulk"><input name="do" value="cancel"><input name="form_key" value="{key}"></form>
<form id="three" method="post" target="out" action="{target}/v1/jobs/victim/cancel" enctype="text/plain"><input name="x" value="1"></form>
<form id="four" method="post" target="out" action="{target}/submit"><input name="urls" value="http://a.example/"><input name="form_key" value="{key}"></form>
<img src="{target}/jobs/victim/cancel">
<script>
  const form = new URLSearchParams({{form_key: "{key}", do: "cancel", urls: "http://a.example/"}});
  const told = [];
  const ask = async (path, options) => {{
    try {{ const a = await fetch("{target}" + path, options); told.push(a.type + (a.type === "opaque" ? "" : await a.text())); }}
    catch (error) {{ told.push("refused"); }}
  }};
  (async () => {{
    for (const mode of ["no-cors", "cors"]) {{
      for (const path of ["/jobs/victim/cancel", "/bulk", "/submit", "/v1/jobs/victim/cancel"]) await ask(path, {{method: "POST", mode, credentials: "include", body: form}});
      await ask("/v1/jobs/done", {{method: "DELETE", mode: "cors", credentials: "include"}});
      await ask("/v1/lanes/default", {{method: "PUT", mode: "cors", credentials: "include", body: "{{}}"}});
      await ask("/", {{mode, credentials: "include"}});
    }}
    navigator.sendBeacon("{target}/jobs/victim/cancel", form);
    for (const name of ["one", "two", "three", "four"]) {{ const loaded = new Promise((go) => {{ document.querySelector("iframe").onload = go; }}); document.getElementById(name).submit(); await loaded; }}
    document.title = "over:" + told.join("|");
  }})();
</script>"""


@pytest.mark.parametrize("tokens", ["", TOKENS], ids=["open", "tokens"])
@pytest.mark.parametrize("place", ["localhost", "127.0.0.1"], ids=["cross-site", "same-site"])
def test_a_page_of_another_origin_does_nothing(chromium, web, tmp_path, tokens, place):
    """Not by forms, frames, scripts or pictures, even if it knew the key of a form; and it reads nothing."""
    bearer = {"headers": {"Authorization": "Bearer admin-token"}}
    with (
        served(str(tmp_path / "victim.sqlite"), tmp_path, tokens=tokens) as service,
        tab(chromium, service.url) as seen,
    ):
        for id, urls in (
            ("victim", {"requests": ["http://a.example/"], "not_before": LATER}),
            ("done", {"requests": ["http://no-such-host.invalid/"], "not_before": LATER}),
        ):
            assert service.call("POST", "/v1/jobs", json={"id": id, **urls}, **bearer).status_code == 202
        service.call("POST", "/v1/jobs/done/cancel", **bearer)
        seen.page.goto("/")
        if tokens:
            seen.page.fill("#token", "admin-token")
            seen.page.get_by_role("button", name="Sign in").click()
            seen.page.get_by_role("heading", name="Overview").wait_for()
        key = seen.page.locator("[name=form_key]").first.input_value()
        attack = web.url.replace("127.0.0.1", place) + "/attack"
        page = ATTACK.format(target=service.url, key=key)
        seen.context.route(attack, lambda route: route.fulfill(body=page, content_type="text/html"))
        seen.page.goto(attack)
        service.wait_for(lambda: seen.page.title().startswith("over:"))
        assert "workerpool" not in seen.page.title()
        assert "about:blank" != seen.page.frames[1].url
        jobs = service.call("GET", "/v1/jobs", **bearer).json()["jobs"]
        assert {"victim": "queued", "done": "cancelled"} == {each["id"]: each["state"] for each in jobs}


def test_by_keyboard_alone(chromium, busy, web):
    """Past the navigation, to a job, into the dialog, out of it, and through it."""
    busy.submit(f"{web.url}/page/1", id="keys", not_before=LATER)
    with tab(chromium, busy.url) as seen:
        page = seen.page
        page.goto("/jobs?q=keys")
        page.keyboard.press("Tab")
        assert "Skip to the content" == focused(page)
        page.keyboard.press("Enter")
        assert "main" == page.evaluate("document.activeElement.id")
        tab_to(page, "keys")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Job keys").wait_for()
        tab_to(page, "Cancel…")
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        page.keyboard.press("Escape")
        page.locator("dialog:not([open])").wait_for(state="attached")
        assert "Cancel…" == focused(page)
        page.keyboard.press("Enter")
        page.locator("dialog[open]").wait_for()
        assert [] == broken_rules(page)
        tab_to(page, "Cancel it")
        page.keyboard.press("Enter")
        page.get_by_role("status").filter(has_text="It was cancelled.").wait_for()
        assert "cancelled" == busy.job("keys")["state"]
        assert [] == seen.said


def focused(page):
    return page.evaluate("document.activeElement.textContent.trim()")


def tab_to(page, text):
    for _ in range(60):
        if focused(page) == text:
            shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert "none" != shown, "where the focus is must be seen"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way by Tab to {text!r}")


def test_a_job_is_shown_as_it_goes_on(chromium, tmp_path):
    """Without a reload; a screen reader is told of the new state only."""
    with site() as web, served(str(tmp_path / "live.sqlite"), tmp_path) as service, tab(chromium, service.url) as seen:
        service.submit(f"{web.url}/hang/1", id="live")
        seen.page.goto("/jobs/live")
        seen.page.evaluate("window.here = 1")
        seen.page.locator(".head .state.running").wait_for()
        seen.page.get_by_role("button", name="Pause updates").click()
        assert "true" == seen.page.get_attribute("#updates", "aria-pressed")
        web.gate.set()
        service.done("live")
        asked = len([each for each in seen.asked if each.endswith("/jobs/live")])
        seen.page.evaluate("document.querySelector('#live').dispatchEvent(new CustomEvent('every'))")
        seen.page.evaluate("fetch('/healthz')")  # whatever was asked for by then was asked before
        assert asked == len([each for each in seen.asked if each.endswith("/jobs/live")])
        assert 1 == seen.page.locator(".head .state.running").count()
        seen.page.get_by_role("button", name="Pause updates").click()
        seen.page.locator(".head .state.succeeded").wait_for()
        assert "Job live is succeeded" == seen.page.inner_text("#news")
        assert 1 == seen.page.evaluate("window.here")
        assert [] == seen.said


DRAWN = """async () => {
    const found = await (await fetch('/live.json')).json();
    return [found.times.length, found.succeeded.reduce((a, b) => a + b) * 2, found.half.some((each) => each > 0)];
}"""


def test_the_overview_draws_what_comes(chromium, tmp_path):
    with (
        site() as web,
        served(str(tmp_path / "curves.sqlite"), tmp_path) as service,
        tab(chromium, service.url) as seen,
    ):
        seen.page.goto("/")
        seen.page.locator("[data-chart=rate] canvas").wait_for()
        service.done(service.submit(*[f"{web.url}/page/{number}" for number in range(200)]))
        seen.page.locator("[data-chart=rate] .u-legend").filter(has_text="at").wait_for()
        service.wait_for(lambda: float(seen.page.inner_text(".tiles dd >> nth=0")) > 0)
        service.wait_for(lambda: seen.page.evaluate(DRAWN) == [150, 200, True])
        assert 2 == seen.page.locator(".chart canvas").count()
        assert [] == seen.said


def test_filters_are_in_the_address_and_the_way_back_works(chromium, busy):
    with tab(chromium, busy.url) as seen:
        page = seen.page
        page.goto("/jobs")
        page.select_option("#state", "cancelled")
        page.wait_for_url("**/jobs?state=cancelled*")
        page.locator("#job-mixed").wait_for(state="detached")
        assert 1 == page.locator("#job-cancelled").count()
        page.fill("#q", "no such job")
        page.get_by_text("No job matches.").wait_for()
        assert "no+such+job" in page.url or "no%20such%20job" in page.url
        page.go_back()
        page.locator("#job-cancelled").wait_for()
        assert [] == seen.said


def test_all_that_match_are_counted_before_anything_is_done(chromium, busy, web):
    for number in range(3):
        busy.submit(f"{web.url}/page/1", id=f"bulk-{number}", labels={"set": "bulk"}, not_before=LATER)
    with tab(chromium, busy.url, width=390) as seen:
        seen.page.goto("/jobs?label=set:bulk")
        seen.page.get_by_role("link", name="Cancel…").click()
        seen.page.get_by_role("dialog", name="Cancel 3 jobs?").wait_for()
        seen.page.get_by_role("link", name="No, go back").click()
        assert "queued" == busy.job("bulk-0")["state"]
        seen.page.get_by_role("link", name="Cancel…").click()
        seen.page.get_by_role("button", name="Cancel 3 jobs").click()
        seen.page.get_by_text("3 jobs were cancelled.").wait_for()
        assert {"cancelled"} == {busy.job(f"bulk-{number}")["state"] for number in range(3)}
        assert [] == seen.said


def test_without_scripts_it_all_works(chromium, busy, web):
    with tab(chromium, busy.url, width=390, java_script_enabled=False) as seen:
        page = seen.page
        page.goto("/submit")
        page.fill("#urls", f"{web.url}/page/1\n{web.url}/missing/2")
        page.fill("#labels", "way: plain")
        page.get_by_role("button", name="Submit", exact=True).click()
        page.get_by_text("The job is stored.").wait_for()
        id = page.url.rpartition("/")[2]
        busy.done(id)
        page.goto("/jobs")
        page.fill("#label", "way:plain")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name=id).click()
        page.get_by_role("link", name="Not succeeded").click()
        assert 1 == page.locator("tbody tr").count()
        page.get_by_role("link", name="Retry…").click()
        page.get_by_role("button", name="Retry what did not succeed").click()
        page.get_by_text("Its next run has begun.").wait_for()
        assert 2 == busy.job(id)["run"]


def test_a_delivery_is_sent_again_under_its_id(chromium, busy):
    before = busy.get("/v1/jobs/mixed/deliveries")["deliveries"]
    with tab(chromium, busy.url) as seen:
        seen.page.goto("/jobs/mixed")
        seen.page.get_by_role("button", name="Send again").click()
        seen.page.get_by_text("The message is sent once more.").wait_for()
    after = busy.get("/v1/jobs/mixed/deliveries")["deliveries"]
    assert [each["id"] for each in before] == [each["id"] for each in after]
    assert len(before[0]["tries"]) <= len(after[0]["tries"])
    log_tries(busy, "mixed", "ConnectTimeout: no answer within 15 s")


def test_a_theme_is_kept(chromium, busy):
    with tab(chromium, busy.url) as seen:
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        seen.page.goto("/lanes")
        light = seen.page.evaluate(ground)
        seen.page.get_by_role("button", name="Theme: auto. Change to dark").click()
        seen.page.get_by_role("button", name="Theme: dark. Change to light").wait_for()
        assert light != seen.page.evaluate(ground)
        seen.page.goto("/jobs")
        assert light != seen.page.evaluate(ground)


def test_one_signs_in_by_keyboard_and_the_token_is_nowhere(chromium, tmp_path):
    with (
        served(str(tmp_path / "tokens.sqlite"), tmp_path, tokens=TOKENS) as service,
        tab(chromium, service.url) as seen,
    ):
        page = seen.page
        page.goto("/jobs?q=x")
        page.locator("input:focus").wait_for()
        page.keyboard.type("submit-token")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Jobs").wait_for()
        assert page.url.endswith("/jobs?q=x")
        assert "submit-token" not in page.content()
        kept = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
        assert '["",{},{}]' == kept
        assert all("submit-token" not in each for each in seen.asked)
        assert 0 == page.get_by_role("link", name="Delete…").count()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        page.goto("/jobs")
        page.get_by_role("heading", name="Sign in").wait_for()
        assert [] == broken_rules(page)
        assert [] == seen.said


def test_whoever_was_signed_out_elsewhere_is_asked_again_by_the_next_update(chromium, tmp_path):
    with served(str(tmp_path / "out.sqlite"), tmp_path, tokens=TOKENS) as service, tab(chromium, service.url) as seen:
        seen.page.goto("/lanes")
        seen.page.locator("input:focus").wait_for()
        seen.page.keyboard.type("reader-token")
        seen.page.keyboard.press("Enter")
        seen.page.get_by_role("heading", name="Lanes").wait_for()
        seen.context.clear_cookies()
        seen.page.get_by_role("heading", name="Sign in").wait_for()
