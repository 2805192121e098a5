"""What is written down runs: the README's code, alone, in one session and as pasted; the examples."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIRST, *BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(*arguments, **options):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=80, check=False, **options)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readmes_code_runs(shared_site, number):
    """Every code block of the README runs as it stands, given a site."""
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"site": shared_site.url, "__name__": "readme"})


def test_the_readmes_code_can_be_pasted():
    """Line by line in one interactive session, the first block's own site before all others; nothing is raised."""
    pasted = "\n".join([FIRST, *BLOCKS, "print('the', 'end')", ""])
    done = run("-i", "-q", "-W", "error", input=pasted, cwd=ROOT)
    said = done.stderr.replace(">>> ", "").replace("... ", "")
    assert (0, "") == (done.returncode, said.strip())
    assert "the end" in done.stdout


@pytest.mark.parametrize("argument", [True, False], ids=["a-site-given", "its-own"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_run(shared_site, example, argument):
    """Every example ends well, says something, and is as long as an example should be."""
    done = run("-W", "error", example, *([shared_site.url] if argument else []))
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout
    assert 20 <= len(example.read_text().splitlines()) <= 75
