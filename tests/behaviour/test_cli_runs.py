"""`workerpool fetch` with a state, politeness and outputs: what is kept, what goes on, what is asked again."""

import gzip
import json
import os
import signal
import subprocess
from http.server import BaseHTTPRequestHandler

import pytest
from commands import COMMAND, pages, rows, run
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from servers import handled

from workerpool.scraping.explaining import explain


def fetch(folder, *arguments, **options):
    return run("fetch", *arguments, folder=folder, **options)


def test_each_kind_of_output_at_once(shared_site, tmp_path):
    """By their ends; what is extracted is in them, and bodies are files."""
    urls = [shared_site.url_for(f"/page/{n}") for n in range(3)]
    outputs = [part for end in ("jsonl", "csv", "parquet", "warc.gz", "wacz", "txt") for part in ("-o", f"out.{end}")]
    done = fetch(tmp_path, *urls, "-q", *outputs, "--save", "bodies", "--extract", "title=css:title")
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    for end in ("jsonl", "txt"):
        assert ["Page 0", "Page 1", "Page 2"] == [r["fields"]["title"] for r in rows(tmp_path / f"out.{end}")]
    assert (tmp_path / "out.csv").read_text().splitlines()[0].endswith(",title")
    assert all((tmp_path / f"out.{end}").stat().st_size for end in ("parquet", "warc.gz", "wacz"))
    assert 3 == len([each for each in (tmp_path / "bodies").iterdir() if not each.name.startswith(".")])


def test_each_kind_of_input(shared_site, tmp_path):
    """A column of a CSV, JSON Lines with options, sitemaps, packed ones; a bad line is told by number, and a failure."""
    one, echo = shared_site.url_for("/fast/1"), shared_site.url_for("/echo")
    (tmp_path / "a.csv").write_text(f"id,link\n7,{one}\n")
    assert 0 == fetch(tmp_path, "-i", "a.csv", "--column", "link", "-q", "-o", "a.jsonl").returncode
    assert [one] == [row["url"] for row in rows(tmp_path / "a.jsonl")]
    lines = json.dumps({"url": echo, "method": "POST", "body": "hi"}) + '\n{"url": 7}\n'
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    done = fetch(tmp_path, "-i", "b.jsonl.gz", "--body", "-o", "b.out")
    assert (1, True) == (done.returncode, "b.jsonl.gz, line 2 is passed over" in done.stderr)
    assert ["POST"] == [json.loads(row["body"])["method"] for row in rows(tmp_path / "b.out")]
    (tmp_path / "c.xml").write_text(f"<urlset><url><loc>{one}</loc></url></urlset>")
    assert 0 == fetch(tmp_path, "-i", "c.xml", "-q", "-o", "c.jsonl").returncode
    assert [one] == [row["url"] for row in rows(tmp_path / "c.jsonl")]


class Parked(BaseHTTPRequestHandler):
    """Answer at once below /now; else say nothing until the client has gone."""

    def do_GET(self):
        if self.path.startswith("/now"):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        type(self).reached.set()
        type(self).go_on.wait(60)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_parts):
        pass


@pytest.fixture
def parked():
    from threading import Event

    kind = type("OneServer", (Parked,), {"reached": Event(), "go_on": Event()})
    with handled(kind) as url:
        yield kind, url
        kind.go_on.set()


def test_what_comes_slowly_is_asked_for_as_it_comes(parked, tmp_path):
    """Ctrl-C ends the wait for more: exit 130; the same list goes on behind what was read."""
    _, url = parked
    with started(tmp_path, "-i", "-", "--state", "s.db", "-o", "o.jsonl", stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{url}now/1\n")
        process.stdin.flush()
        while not (tmp_path / "o.jsonl").exists() or not (tmp_path / "o.jsonl").read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert 130 == process.returncode
    again = ["-q", "-i", "-", "--state", "s.db", "-o", "o.jsonl"]
    done = fetch(tmp_path, *again, input=f"{url}now/1\n{url}now/2\n")
    assert (0, "") == (done.returncode, done.stderr)
    assert [f"{url}now/1", f"{url}now/2"] == [row["url"] for row in rows(tmp_path / "o.jsonl")]


def started(folder, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "HOME": str(folder)}
    command = [*COMMAND, "fetch", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **options)


def test_ctrl_c_once_drains_and_the_same_command_goes_on(parked, tmp_path):
    """What is under way comes to its end, exit 130; then the rest, each input with one row."""
    kind, url = parked
    again = [f"{url}now/1", f"{url}held", f"{url}now/2", "--state", "s.db", "-o", "o.jsonl", "--per-host", "1"]
    with started(tmp_path, *again) as process:
        assert kind.reached.wait(60)
        process.send_signal(signal.SIGINT)
        while "stopping: what is under way" not in process.stderr.readline():
            continue
        kind.go_on.set()
        rest = process.stderr.read()
    assert (130, True) == (process.returncode, "the same command again goes on" in rest)
    assert [0, 1] == [row["index"] for row in rows(tmp_path / "o.jsonl")]
    done = fetch(tmp_path, *again)
    assert (0, True) == (done.returncode, "in all 3 fetched, 0 failed" in done.stderr)
    assert [(n, 200, 1) for n in range(3)] == [
        (r["index"], r["status"], r["attempts"]) for r in rows(tmp_path / "o.jsonl")
    ]


@pytest.mark.parametrize(
    ("signals", "code"),
    [((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143), ((signal.SIGKILL,), -9)],
    ids=["Ctrl-C twice", "TERM", "KILL"],
)
def test_a_run_that_was_ended_amid_requests_goes_on(parked, tmp_path, signals, code):
    """What was under way is asked again and counted; `why` tells so, before and after."""
    kind, url = parked
    again = [f"{url}now/1", f"{url}held", "--state", "s.db", "-o", "o.jsonl"]
    with started(tmp_path, *again) as process:
        assert kind.reached.wait(60)
        while not explain(tmp_path / "s.db", f"{url}held").is_known:  # what is not committed yet is not known
            assert process.poll() is None
        for number in signals:
            process.send_signal(number)
            if len(signals) > 1 and number is signals[0] and process.poll() is None:
                signals = signals[1:]
                while "stopping" not in process.stderr.readline():
                    continue
        process.stderr.read()
    assert code == process.returncode
    told = run("why", f"{url}held", "--state", "s.db", folder=tmp_path)
    assert (0, True) == (told.returncode, "\nasked: " in told.stdout or "\nwaiting: " in told.stdout), told.stderr
    kind.go_on.set()
    assert 0 == fetch(tmp_path, *again, "-q").returncode
    assert [0, 1] == [row["index"] for row in rows(tmp_path / "o.jsonl")]
    assert "fetched: status 200" in run("why", f"{url}held", "--state", "s.db", folder=tmp_path).stdout


def test_what_failed_is_asked_again_into_a_file_of_its_own(tmp_path):
    """The old rows stay, the new ones bear the same index; neither file has an input twice."""
    with pages() as (books, url):
        books.pages["/a"] = (200, "x", {})
        urls = [f"{url}/a", f"{url}/b", "http://127.0.0.1:1/"]
        first = fetch(tmp_path, *urls, "--state", "s.db", "-o", "1.jsonl", "--retries", 0)
        assert 1 == first.returncode
        retry = ["--state", "s.db", "--retry", "4xx", "--retries", 0]
        assert 2 == fetch(tmp_path, *retry).returncode
        assert "is there already" in fetch(tmp_path, *retry, "-o", "1.jsonl").stderr
        books.pages["/b"] = (200, "y", {})
        done = fetch(tmp_path, *retry, "-o", "2.jsonl")
        assert "1 to be asked again; their new rows go to 2.jsonl" in done.stderr
        assert 1 == done.returncode  # the connection that failed was not asked for again
        assert [200, 404, None] == [row["status"] for row in rows(tmp_path / "1.jsonl")]
        assert [(1, 200, 2)] == [(r["index"], r["status"], r["attempts"]) for r in rows(tmp_path / "2.jsonl")]
        os.remove(tmp_path / "1.jsonl")
        assert "has the rows of the run before" in fetch(tmp_path, *retry, "-o", "1.jsonl").stderr
        told = run("why", f"{url}/b", "--state", "s.db", folder=tmp_path).stdout
        assert ["attempt 1: status 404", "attempt 2: status 200"] == [
            line.strip().partition(",")[0] for line in told.splitlines() if "attempt" in line
        ]


def test_another_run_is_refused_by_what_differs(shared_site, tmp_path):
    """Input, outputs, and options that change what comes out; others may change. A budget ends with 3."""
    one, two = shared_site.url_for("/fast/1"), shared_site.url_for("/fast/2")
    (tmp_path / "urls").write_text(f"{one}\n{two}\n")
    given = ["-i", "urls", "--state", "s.db"]
    assert 3 == fetch(tmp_path, *given, "-q", "-o", "o.jsonl", "--max-pages", 1).returncode
    for name, arguments in {
        "outputs": ["-o", "other.jsonl"], "--extract": ["-o", "o.jsonl", "--extract", "t=css:title"],
        "--header": ["-o", "o.jsonl", "-H", "Authorization: secret"], "--body": ["-o", "o.jsonl", "--body"],
    }.items():  # fmt: skip
        done = fetch(tmp_path, *given, *arguments)
        assert (2, True) == (done.returncode, f"its {name} was" in done.stderr)
        assert "secret" not in done.stderr
    (tmp_path / "urls").write_text(f"{one}\n")
    assert "its input was urls, " in fetch(tmp_path, *given, "-o", "o.jsonl").stderr
    (tmp_path / "urls").write_text(f"{one}\n{two}\n")
    assert 0 == fetch(tmp_path, *given, "-q", "-o", "o.jsonl", "--timeout", 9, "--rate", 50, "--resume").returncode
    assert [one, two] == [row["url"] for row in rows(tmp_path / "o.jsonl")]


def test_what_is_there_is_not_overwritten_by_mistake(shared_site, tmp_path):
    """An output without its state, and a file that is no state: both are kept, also with --restart."""
    url = shared_site.url_for("/fast/1")
    (tmp_path / "o.jsonl").write_text("mine\n")
    done = fetch(tmp_path, url, "--state", "s.db", "-o", "o.jsonl")
    assert (2, "mine\n") == (done.returncode, (tmp_path / "o.jsonl").read_text())
    assert "or --restart to overwrite it" in done.stderr
    (tmp_path / "text").write_text("mine\n")
    assert 4 == fetch(tmp_path, url, "--state", "text", "--restart", "-o", "new.jsonl").returncode
    assert "mine\n" == (tmp_path / "text").read_text()
    assert 0 == fetch(tmp_path, url, "--state", "s.db", "-o", "o.jsonl", "--restart", "-q").returncode


def test_a_dry_run_asks_for_robots_alone(tmp_path):
    """It tells pace and length for each host."""
    with pages() as (books, url):
        books.pages["/robots.txt"] = (200, "User-agent: *\nCrawl-delay: 7\nDisallow: /no", {})
        done = fetch(tmp_path, f"{url}/a", f"{url}/b", f"{url}/no", "--robots", "--dry-run", env={"COLUMNS": "120"})
        assert [] == books.asked()
    assert 0 == done.returncode
    assert "one in 7 s (robots.txt)" in done.stdout
    assert "2 requests to 1 hosts; at least 7 s" in done.stdout


def test_each_hop_is_signed_anew(tmp_path):
    """Another implementation verifies each request, robots.txt included; the key is that of `workerpool identity`."""
    made = run("identity", "id", "--agent", "https://bot.example", folder=tmp_path)
    assert (0, True) == (made.returncode, "https://bot.example/.well-known/" in made.stdout)
    pem = (tmp_path / "id" / "private-key.pem").read_bytes()
    key_id = made.stdout.partition("key id:")[2].split()[0]

    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id):
            key = load_pem_private_key(pem, password=None).public_key()
            return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

        def resolve_private_key(self, key_id):
            raise AssertionError("whoever verifies needs no private key")

    with pages() as (books, url):
        other = url.replace("127.0.0.1", "localhost")
        books.pages |= {"/move": (302, "", {"Location": f"{other}/moved"}), "/moved": (200, "x", {})}
        sign = ["--sign", "id/private-key.pem", "--sign-as", "https://bot.example"]
        assert 0 == fetch(tmp_path, f"{url}/move", "-q", "--robots", "-o", "o.jsonl", *sign).returncode
        hops = list(books.log)
    assert {"/robots.txt", "/move", "/moved"} == {path for path, _ in hops}
    assert len(hops) == len({headers["Signature"] for _, headers in hops})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    for path, headers in hops:
        message = type("Message", (), {"headers": headers, "url": f"http://{headers['Host']}{path}", "method": "GET"})
        (verified,) = verifier.verify(message)
        assert key_id == verified.parameters["keyid"]


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--retry", "failed"], "--retry needs --state FILE"),
        (["--retry", "failed", "--state", "s", "-o", "o"], "run it without --retry first"),
        (["--retry", "failed", "--state", "s", "-o", "o", "http://h/"], "leave out the URLs"),
        (["http://h/", "--restart"], "--restart needs --state FILE"),
        (["http://h/", "--state", "s", "--resume"], "there is no state to resume"),
        (["http://h/", "--state", "s", "-o", "s"], "give two files"),
        (["http://h/", "--column", "a"], "--column needs -i FILE"),
        (["http://h/", "--delay", "0"], "'--delay': 0 is not above 0"),
        (["http://h/", "--respect", "all"], "'--respect'"),
        (["http://h/", "--robots", "-H", "User-Agent: ()"], "-H User-Agent must be a name"),
        (["http://h/", "--sign", "k", "--sign-as", "https://b.example"], "workerpool identity makes one"),
        (["-i", "none.csv"], "'none.csv' cannot be read"),
    ],
)
def test_wrong_options_are_told_by_name(tmp_path, arguments, cure):
    """Exit 2, nothing on stdout, and nothing is made."""
    done = fetch(tmp_path, *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert cure in done.stderr
    assert [] == [each.name for each in tmp_path.iterdir() if each.suffix != ".lock"]
