"""A run that is killed at random moments, and resumed each time: `python tests/scraping/killed.py --times 100`.

Prints what was lost, doubled or broken in the output; each input must have exactly one outcome in the end.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from workerpool.scraping import Crawl, Politeness
from workerpool.scraping.sinks.choice import sink_for
from workerpool.testing import Site

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Kill, resume, compare; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=10)
    arguments.add_argument("--urls", type=int, default=3000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--output", default="out.jsonl")
    arguments.add_argument("--child", nargs=2, metavar=("SITE", "FOLDER"))
    given = arguments.parse_args()
    if given.child:
        site, folder = given.child
        return crawl(site, folder, given.urls, given.output)
    with Site() as server, tempfile.TemporaryDirectory() as place:
        return torment(server, Path(place), given)


def crawl(site: str, folder: str, urls: int, output: str) -> int:
    """Be the run that is killed."""
    run = Crawl(
        [f"{site}/fast/{n}" for n in range(urls)],
        state=Path(folder, "state.db"),
        sinks=[sink_for(Path(folder, output))],
        politeness=Politeness(per_host=0),
        identity={"output": output},
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: run.stop())
    return 0 if run.run().complete else 3


def torment(site: Site, folder: Path, given: argparse.Namespace) -> int:
    """Kill the run so many times, let it end, and say what came of it."""
    chance = random.Random(given.seed)
    kills: Counter[str] = Counter()
    command = [sys.executable, __file__, "--child", site.url_for("/").rstrip("/"), str(folder)]
    command += ["--urls", str(given.urls), "--output", given.output]
    while True:
        child = subprocess.Popen(command, env=os.environ)
        kind = chance.choice(SIGNALS) if sum(kills.values()) < given.times else None
        if kind is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0.3, 1.2))
            if child.poll() is None:
                child.send_signal(kind)
                kills[kind.name] += 1
        if child.wait() == 0:
            break
    rows = [json.loads(line) for line in (folder / given.output).read_text().splitlines()]
    seen = Counter(row["url"] for row in rows)
    wanted = {site.url_for(f"/fast/{n}") for n in range(given.urls)}
    lost, doubled = wanted - seen.keys(), [url for url, times in seen.items() if times > 1]
    wrong = [row for row in rows if row["status"] != 200]
    print(f"kills {dict(kills)}, inputs {given.urls}, rows {len(rows)}: lost {len(lost)}, doubled {len(doubled)}, "
          f"wrong {len(wrong)}, tried more than once {sum(row['attempts'] > 1 for row in rows)}")  # fmt: skip
    return bool(lost or doubled or wrong)


if __name__ == "__main__":
    sys.exit(main())
