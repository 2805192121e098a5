"""What is written down runs: the README's code, the examples, the package docstring."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readmes_code_runs(shared_site, number):
    """Every code block of the README runs as it stands."""
    exec(compile(BLOCKS[number], f"README block {number}", "exec"), {"site": shared_site.url, "__name__": "readme"})


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_run(shared_site, example):
    """Every example ends well, says something, and is as long as an example should be."""
    done = subprocess.run(
        [sys.executable, "-W", "error", example, shared_site.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout
    assert 20 <= len(example.read_text().splitlines()) <= 75


def test_the_readme_has_both_commands():
    """The two commands that the README promises are there."""
    text = (ROOT / "README.md").read_text()
    assert "<!-- command: demo -->\n```bash" in text
    assert "<!-- command: test -->\n```bash" in text
