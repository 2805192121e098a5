"""The pages' code runs as it stands and prints what they show; what others do and what is done here comes to the same."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from blocks import blocks_of, needs_of, prints, run_python, run_shell

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md")), *sorted((DOCS / "coming-from").glob("*.md"))]
WITH_CODE = [page for page in PAGES if blocks_of(page)]


@pytest.fixture(scope="module")
def served():
    """The site as the tutorial has it started, and its address."""
    command = [sys.executable, "-m", "workerpool.testing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_a_page(page, tmp_path, served):
    """In order, from the first block to the last."""
    for name in needs_of(page):
        if importlib.util.find_spec(name) is None and shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    blocks = blocks_of(page)
    python = [block for block in blocks if block.language == "python"]
    printed = dict(zip(map(id, python), run_python(page, python, tmp_path), strict=False)) if python else {}
    for block in blocks:
        if block.language == "bash":
            printed[id(block)] = run_shell(block, tmp_path, {"SITE": served})
        assert prints(block, printed[id(block)]), f"{page.name}:{block.line} printed\n{printed[id(block)]}"
    theirs = [printed[id(block)] for block in blocks if block.mark == "theirs"]
    here = [printed[id(block)] for block in blocks if block.mark == "here"]
    assert theirs == here
    assert all(each.strip() for each in theirs)


def test_each_comparison_is_one():
    """What others do is followed by what is done here."""
    for page in (DOCS / "coming-from").glob("*.md"):
        marks = [block.mark for block in blocks_of(page) if block.mark in ("theirs", "here")]
        assert marks == ["theirs", "here"] * (len(marks) // 2)
        assert marks or page.stem == "index"
