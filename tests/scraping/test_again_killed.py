"""A round that is killed amid, again and again, has one row of each input, and tells the same of each as one that was not."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter

import pytest
from shelf import Book, shelf

from workerpool.scraping import Crawl

CHILD = """
import sys
from workerpool.scraping import Crawl, Politeness
from workerpool.scraping.sinks import sink_for
from workerpool.scraping.sinks.folder import Folder
url, place = sys.argv[1:]
rows, archive = sink_for(f"{place}/2.jsonl"), sink_for(f"{place}/2.warc.gz")
sinks = [rows, archive, Folder(f"{place}/files", keep=True)]
inputs = [f"{url}/{n}" for n in range(200)]
Crawl(inputs, state=f"{place}/s.db", since_last=True, sinks=sinks, identity={"outputs": "2"}).run()
"""


@pytest.mark.slow
def test_a_round_that_is_killed_loses_and_doubles_nothing(tmp_path):
    """Rows, records and files are those of the round, whole, and each change is told from the round before."""
    chance = random.Random(7)
    with shelf() as (books, url):
        books.books |= {f"/{n}": Book(b"old %d" % n, etag='"1"') for n in range(200)}
        list(Crawl([f"{url}/{n}" for n in range(200)], state=tmp_path / "s.db", since_last=True))
        books.books |= {f"/{n}": Book(b"new %d" % n, etag='"2"') for n in range(0, 200, 4)}
        kills, command = 0, [sys.executable, "-c", CHILD, url, str(tmp_path)]
        while True:
            child, asked = subprocess.Popen(command), len(books.log) + chance.randrange(1, 90)
            while child.poll() is None and len(books.log) < asked:
                pass
            if kills < 5 and child.poll() is None:
                child.send_signal(signal.SIGKILL)
                kills += 1
            if child.wait() == 0:
                break
    rows = [json.loads(line) for line in (tmp_path / "2.jsonl").read_text().splitlines()]
    assert sorted(row["index"] for row in rows) == list(range(200))
    assert Counter(row["change"] for row in rows) == {"same": 150, "changed": 50}
    assert kills >= 2
    files = {path.read_bytes() for path in (tmp_path / "files").glob("0*")}
    assert files == {b"new %d" % n if n % 4 == 0 else b"old %d" % n for n in range(200)}
    index = [json.loads(line.split(" ", 2)[2]) for line in (tmp_path / "2.cdxj").read_text().splitlines()]
    assert len({facts["url"] for facts in index}) == len(index) == 200
