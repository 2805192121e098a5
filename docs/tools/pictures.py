"""The pictures of what a person sees: `python docs/tools/pictures.py` takes them anew, by real runs and a browser.

The view of a run as the terminal shows it, the report of that run, and the page of a job service.
Needs the extras cli, scrape, server, and playwright with a Chromium.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from rich.console import Console
from rich.terminal_theme import MONOKAI

from workerpool.cli.estimate import Estimate
from workerpool.cli.picture import picture
from workerpool.scraping import Crawl, Politeness, Report
from workerpool.service import Client
from workerpool.testing import Site

PICTURES = ROOT / "docs" / "pictures"
_WIDTH = 100  # columns


def main() -> None:
    """Take them all."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, Site() as site:
        report = Path(place, "report.html")
        lines = _run(site, report)
        console = Console(record=True, width=_WIDTH, file=StringIO(), force_terminal=True, highlight=False)
        for line in lines:
            console.print(line)
        shown = console.export_svg(title="workerpool fetch -i urls.txt --state s.db -o rows.jsonl", theme=MONOKAI)
        (PICTURES / "live-view.svg").write_text(_without_fonts(shown), encoding="utf-8")
        with _browser() as page, _service(Path(place), site) as url:
            page.goto(report.as_uri())
            page.screenshot(path=PICTURES / "report.png")
            page.goto(url)
            page.locator("[data-chart=time] canvas").wait_for()
            page.screenshot(path=PICTURES / "page.png")


def _run(site: Site, report: Path) -> list[Any]:
    """Do a run with slow, failing and redirected answers; return the lines of its view when half of it is done."""
    ways = ("/slow/{}?delay=0.05", "/fast/{}", "/echo?n={}", "/slow/{}?delay=0.2", "/redirect/{}")
    urls = [site.url_for(ways[number % 5].format(number % 3 if number % 5 == 4 else number)) for number in range(1500)]
    urls += [site.url_for(f"/status/{code}?n={n}") for code in (404, 404, 410, 503) for n in range(10)]
    urls = sorted(set(urls))
    Random(1).shuffle(urls)
    crawl = Crawl(urls, politeness=Politeness(per_host=8, robots=False))
    crawl.watch(Report(report, title="the catalogue, weekly"))
    seen = Estimate(len(urls))
    running = threading.Thread(target=crawl.run)
    running.start()
    lines: list[Any] = []
    while running.is_alive():
        sleep(0.25)
        seen.see(crawl.progress)
        if crawl.progress.fetched + crawl.progress.failed > len(urls) // 2 and not lines:
            lines = picture(seen, _WIDTH - 1)
    running.join()
    return lines


def _without_fonts(svg: str) -> str:
    """Take out what would be asked of another site: the page's own fonts will do."""
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


@contextmanager
def _service(place: Path, site: Site) -> Iterator[str]:
    """Serve jobs in all states."""
    command = [sys.executable, "-m", "workerpool", "serve", "--port", "0", "--database", str(place / "jobs.db")]
    process = subprocess.Popen([*command, "--allow-address", "127.0.0.0/8"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr if (found := re.search(r"listening on (http://[^\s\"]+)", line)))
        threading.Thread(target=process.stderr.read, daemon=True).start()
        with Client(url) as client:
            _submit(client, site)
        yield url
    finally:
        process.terminate()
        process.wait()


def _submit(client: Client, site: Site) -> None:
    good = [site.url_for(f"/slow/{number}?delay=0.05") for number in range(40)]
    bad = [site.url_for(f"/status/{code}?n={n}") for code in (404, 500) for n in range(3)]
    for name, urls in (("prices-2026-49", good), ("catalogue", good + bad), ("links", bad[:3])):
        job = client.submit(urls, id=name, labels={"team": "shop"})
        client.wait(job)
    client.submit(good, id="tonight", not_before="2030-01-01T00:00:00Z", labels={"team": "search"})
    client.submit([site.url_for(f"/hold/{number}") for number in range(20)], id="images", labels={"team": "search"})


@contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        yield context.new_page()
        browser.close()


if __name__ == "__main__":
    main()
