"""The code of the reference pages: each block runs, with `site` and `pool` as the pages have them, and prints what it says.

Where a page names https://example.org, or example.com, the site on this machine answers.
"""

import re
from pathlib import Path

import pytest
from blocks import Block, blocks_of, run_python, run_shell

from workerpool.testing import Site

ROOT = Path(__file__).parents[2]
PAGES = ("drop-in", "operation", "sessions", "performance", "scraping", "scraping-report", "scale-out")
BLOCKS = [(page, block) for page in PAGES for block in blocks_of(ROOT / "docs" / f"{page}.md")]
ELSEWHERE = {"README", "reference", "frameworks", "testing", "service"}  # tests of their own run them
_SAID = re.compile(r"^\s*print\(.*\)\s*# (.+)$", re.M)
_BEFORE = """
import atexit
from workerpool import WorkerPool
from workerpool.testing import Site

site = {site!r}
"""
_POOL = "pool = WorkerPool()\natexit.register(pool.shutdown)\n"


@pytest.fixture(scope="module")
def address():
    with Site() as site:
        yield site.url


def here(text, address):
    def place(found):
        return address + {"": "/page/0", "page": "/page/1"}.get(found[1] or "", "/fast/1")

    return re.sub(r"https://example\.(?:org|com)(?:/(\w*))?", place, text)


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page}:{block.line}" for page, block in BLOCKS])
def test_a_block_runs(page, block, address, tmp_path):
    """As it stands, in a folder with the files that it names."""
    (tmp_path / "urls.csv").write_text(f"link\n{address}/fast/1\n{address}/fast/2\n")
    (tmp_path / "urls.txt").write_text(f"{address}/fast/1\n")
    text = here(block.text, address)
    if block.language == "bash":
        run_shell(Block("bash", text, "", block.line), tmp_path, {})
        return
    before = _BEFORE.format(site=address) + (_POOL if re.search(r"\bpool\b", text) and "as pool" not in text else "")
    printed = run_python(Path(page), [Block("python", before + text, "", block.line)], tmp_path)[0]
    said = _SAID.findall(block.text)
    assert all(each in printed.splitlines() for each in said), printed


def test_no_page_is_left_out():
    """Each page with code is run here, or by a test of its own."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md") if blocks_of(page)}
    assert pages <= {*PAGES, *ELSEWHERE, "tutorial"}
