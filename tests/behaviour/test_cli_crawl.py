"""`workerpool crawl`: what is followed, what is left out and by which rule, and what a server sees of it."""

import pytest
from commands import pages, rows, run


@pytest.fixture
def site():
    with pages() as (books, url):
        yield books, url


def page(*links, head=""):
    return 200, f"<head><title>T</title>{head}</head>" + "".join(f"<a href='{each}'>x</a>" for each in links), {}


def crawl(folder, *arguments, **options):
    return run("crawl", *arguments, "--retries", 0, folder=folder, **options)


def test_links_are_followed_once_within_the_host(site, tmp_path):
    """Each page has one row with its fields and where it was found; what is elsewhere is counted by its rule."""
    books, url = site
    books.pages |= {"/": page("/a", "/b?utm_source=x", "http://elsewhere.test/"), "/a": page("/b"), "/b": page("/")}
    done = crawl(tmp_path, f"{url}/", "-o", "out.jsonl", "--extract", "title=css:title")
    assert 0 == done.returncode, done.stderr
    found = rows(tmp_path / "out.jsonl")
    assert {"/", "/a", "/b?utm_source=x"} == {row["url"].removeprefix(url) for row in found}
    assert ["T"] * 3 == [row["fields"]["title"] for row in found]
    assert {None, f"{url}/"} == {row["parent"] for row in found}
    assert "1 found and left out: host 1" in done.stderr


def test_robots_holds_unless_one_says_otherwise(site, tmp_path):
    """What robots.txt forbids is a row that says so; with --no-robots it is asked for, after a warning."""
    books, url = site
    books.pages |= {"/robots.txt": (200, "User-agent: *\nDisallow: /no", {}), "/": page("/no", "/yes"), "/yes": page()}
    books.pages["/no"] = page()
    done = crawl(tmp_path, f"{url}/", "-o", "out.jsonl", "--state", "s.db")
    assert ["/", "/yes"] == sorted(books.asked())
    assert {"/no": "robots"} == {r["url"].removeprefix(url): r["why"] for r in rows(tmp_path / "out.jsonl") if r["why"]}
    assert (0, True) == (done.returncode, "of these 1 skipped: robots 1" in done.stderr)
    why = run("why", f"{url}/no", "--state", "s.db", folder=tmp_path)
    assert "skipped: robots (the site's robots.txt disallows it)" in why.stdout
    assert f"found on: {url}/ (depth 1)" in why.stdout
    done = crawl(tmp_path, f"{url}/", "-o", "all.jsonl", "--no-robots")
    assert "--no-robots: robots.txt is not read" in done.stderr
    assert "/no" in books.asked()


def test_nofollow_is_obeyed_with_robots(site, tmp_path):
    """A link that says nofollow, and a page that says it of all, lead nowhere."""
    books, url = site
    books.pages["/"] = (200, "<a href='/a' rel='nofollow'>x</a><a href='/b'>x</a>", {})
    books.pages["/b"] = page("/c", head="<meta name='robots' content='nofollow'>")
    crawl(tmp_path, f"{url}/", "-q", "-o", "out.jsonl")
    assert ["/", "/b"] == sorted(books.asked())


def test_sitemaps_of_robots_and_given_ones_are_read(site, tmp_path):
    """Also in indexes, and where they are plain text; pages of theirs lie one level deep."""
    books, url = site
    books.pages |= {
        "/robots.txt": (200, f"Sitemap: {url}/index.xml", {}),
        "/index.xml": (200, f"<sitemapindex><sitemap><loc>{url}/s.xml</loc></sitemap></sitemapindex>", {}),
        "/s.xml": (200, f"<urlset><url><loc>{url}/from-robots</loc></url></urlset>", {"Content-Type": "text/xml"}),
        "/list.txt": (200, f"{url}/from-list\n", {"Content-Type": "text/plain"}),
        "/": page(), "/from-robots": page(), "/from-list": page(),
    }  # fmt: skip
    done = crawl(tmp_path, f"{url}/", "--sitemap", f"{url}/list.txt", "-o", "out.jsonl", "--depth", 1)
    assert 0 == done.returncode, done.stderr
    assert {"/from-robots", "/from-list"} < set(books.asked())
    assert len(books.asked()) == len(set(books.asked()))


def test_a_redirect_leaves_no_scope_and_doubles_nothing(site, tmp_path):
    """To what is out of it, or known, a redirect ends there; where a seed leads out that is told with the cure."""
    books, url = site
    elsewhere = url.replace("127.0.0.1", "localhost")
    books.pages |= {
        "/": page("/out", "/to-a", "/a"),
        "/out": (302, "", {"Location": f"{elsewhere}/secret"}),
        "/to-a": (301, "", {"Location": "/a"}),
        "/a": page(),
    }
    done = crawl(tmp_path, f"{url}/", "-o", "out.jsonl", "--state", "s.db", "--per-host", 1)
    assert ["/", "/a", "/out", "/to-a"] == sorted(books.asked())
    why = {row["url"].removeprefix(url): row["why"] for row in rows(tmp_path / "out.jsonl")}
    assert {"/": None, "/a": None, "/out": "host", "/to-a": "duplicate"} == why
    assert 0 == done.returncode
    told = run("why", f"{url}/out", "--state", "s.db", folder=tmp_path).stdout
    assert f"redirected to: {elsewhere}/secret" in told
    done = crawl(tmp_path, f"{url}/out", "-o", "seed.jsonl")
    assert f"leads to {elsewhere}/secret, which is out of the scope (host); give that as seed" in done.stderr


def test_a_redirect_that_was_followed_is_followed_again_after_a_stop(site, tmp_path):
    """Its target counts as known from then on, and is not taken for another one's when the run goes on."""
    books, url = site
    books.pages |= {"/": (302, "", {"Location": "/a"}), "/a": (503, "", {})}
    again = [f"{url}/", "-q", "-o", "out.jsonl", "--state", "s.db", "--max-time", 1]
    first = run("crawl", *again, "--retries", 9, folder=tmp_path)
    books.pages["/a"] = page()
    second = run("crawl", *again[:-2], "--retries", 9, folder=tmp_path)
    assert (3, 0) == (first.returncode, second.returncode), first.stderr + second.stderr
    assert [(200, None)] == [(row["status"], row["why"]) for row in rows(tmp_path / "out.jsonl")]


def test_headers_go_to_the_seeds_alone(site, tmp_path):
    """Not to another host of the scope, nor where a redirect leads."""
    books, url = site
    other = url.replace("127.0.0.1", "localhost")
    books.pages |= {"/": page("/move"), "/move": (302, "", {"Location": f"{other}/moved"}), "/moved": page()}
    crawl(tmp_path, f"{url}/", "-q", "-o", "out.jsonl", "-H", "Authorization: secret", "--no-robots")
    books.log.clear()
    fetch = ["fetch", f"{url}/move", f"{url}/", "-q", "-o", "out2.jsonl", "-H", "Authorization: secret", "--robots"]
    run(*fetch, folder=tmp_path)
    sent = {path: headers.get("Authorization") for path, headers in books.log}
    assert {"/robots.txt": None, "/move": "secret", "/": "secret", "/moved": None} == sent


def test_a_trap_is_set_aside_and_named(site, tmp_path):
    """A path that repeats itself is not asked for, and the rule is told."""
    books, url = site
    books.pages["/"] = page("/a/b/a/b/a/b/a/b/")
    done = crawl(tmp_path, f"{url}/", "-o", "out.jsonl", "--state", "s.db")
    assert ["/"] == books.asked()
    assert "trap:repeated-segment 1" in done.stderr
    why = run("why", f"{url}/a/b/a/b/a/b/a/b/", "--state", "s.db", folder=tmp_path)
    assert "skipped: trap:repeated-segment" in why.stdout


@pytest.mark.parametrize("restart", [False, True], ids=["goes-on", "anew"])
def test_a_run_that_goes_on_counts_on(site, tmp_path, restart):
    """A trap that neither part of it would have found is found; anew it is counted anew."""
    books, url = site
    books.pages |= {"/list": page(), "/": page("/next", *(f"/list?a{n}=1" for n in range(40)))}
    books.pages["/next"] = page(*(f"/list?b{n}=1" for n in range(40)))
    command = ["crawl", f"{url}/", "-o", "out.jsonl", "--state", "s.db"]
    first = run(*command, "--max-pages", 1, folder=tmp_path)
    assert (3, False) == (first.returncode, "set aside" in first.stderr)
    if restart:
        books.pages["/"] = page("/next")
    second = run(*command, *(["--restart"] if restart else []), folder=tmp_path)
    assert second.returncode == 0, second.stderr
    assert restart is ("/list (trap:parameter-explosion)" not in second.stderr)
    assert restart is (len(rows(tmp_path / "out.jsonl")) < 43)


def test_depth_allow_and_deny_hold(site, tmp_path):
    """Each by its own rule."""
    books, url = site
    books.pages |= {"/": page("/a", "/b", "/login"), "/a": page("/a/deep")}
    crawl(
        tmp_path,
        f"{url}/",
        "-q",
        "-o",
        "o.jsonl",
        "--depth",
        1,
        "--deny",
        "/login",
        "--allow",
        "/a|/$",
        "--state",
        "s.db",
    )
    assert ["/", "/a"] == sorted(books.asked())
    told = [run("why", url + path, "--state", "s.db", folder=tmp_path).stdout for path in ("/a/deep", "/b", "/login")]
    assert ["depth", "not-allowed", "denied"] == [text.splitlines()[1].split()[1] for text in told]


def test_escape_sequences_reach_no_terminal(site, tmp_path):
    """Neither by a reason, nor a field, nor a place of a redirect."""
    books, url = site
    books.pages["/"] = (302, "", {"Location": "http://else\x1b[31mwhere.test/"})
    done = crawl(tmp_path, f"{url}/", "-v", "--state", "s.db", "-o", "-")
    why = run("why", f"{url}/", "--state", "s.db", folder=tmp_path)
    assert "\x1b" not in done.stdout + done.stderr + why.stdout


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ([], "Missing argument"),
        (["example.org"], "begins with http:// or https://"),
        (["ftp://example.org/"], "http"),
        (["http://h/", "--scope", "planet"], "is not one of"),
        (["http://h/", "--depth", "-1"], "--depth"),
        (["http://h/", "--deny", "(a+)*"], "may never end"),
        (["http://h/", "--allow", "("], "no regular expression"),
        (["http://h/", "--max-pages", "0"], "--max-pages"),
        (["http://h/", "--resume"], "--resume needs --state FILE"),
        (["http://h/", "--extract", "title"], "such as title=css:title"),
        (["http://h/", "--contact", "nobody"], "--contact must be"),
        (["http://h/", "--sign", "key"], "--sign needs --sign-as URL"),
        (["http://h/", "--sitemap", "x.xml"], "no URL to begin with"),
        (["http://h/", "-o", "a.csv", "-o", "a.csv"], "given twice"),
    ],
)
def test_wrong_options_are_told_by_name(tmp_path, arguments, cure):
    """Exit 2, nothing on stdout, and no file is made."""
    done = run("crawl", *arguments, folder=tmp_path)
    assert (2, "") == (done.returncode, done.stdout)
    assert cure in done.stderr
    assert [] == list(tmp_path.iterdir())
