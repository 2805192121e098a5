"""The code of a page, run as a reader would: its Python blocks in one program, its shell blocks in one folder.

Sybil runs Python blocks too, but compares no output of them and knows no shell; what is left of it to use would be its parser.
In a page stands, before a block: `<!-- theirs -->` and `<!-- here -->`, whose outputs are equal; `<!-- not run: why -->`;
anywhere: `<!-- needs: module or program, ... -->`. A block of text that follows at once is what is printed, `...` for what varies.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["Block", "blocks_of", "needs_of", "prints", "run_python", "run_shell"]

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_NEEDS = re.compile(r"<!-- needs: (.*?) -->")
_BREAK = "\x1e"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, what it prints if that is shown, and its mark."""

    language: str
    text: str
    mark: str
    line: int
    output: str | None = None

    @property
    def is_run(self) -> bool:
        """Whether it is; a reason stands in the page if not."""
        return self.language in ("python", "bash") and not self.mark.startswith("not run")


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks that are run, in order, each with the output that follows at once."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for each in _BLOCK.finditer(text):
        if each["language"] == "text" and found and not text[end : each.start()].strip():
            found[-1] = replace(found[-1], output=each["text"])
        else:
            found.append(
                Block(each["language"], each["text"], each["mark"] or "", text.count("\n", 0, each.start("text")))
            )
        end = each.end()
    return [block for block in found if block.is_run]


def needs_of(page: Path) -> list[str]:
    """Return the modules and programs without which the page cannot be run."""
    return [name.strip() for found in _NEEDS.findall(page.read_text(encoding="utf-8")) for name in found.split(",")]


def run_python(page: Path, blocks: list[Block], folder: Path) -> list[str]:
    """Run the blocks as one program, and return what each has printed; raises AssertionError with its traceback."""
    end = f"\nprint(end={_BREAK!r}, flush=True)\n"
    program = folder / f"{page.stem}_blocks.py"
    program.write_text(end.join(block.text for block in blocks), encoding="utf-8")
    return _run([sys.executable, "-W", "error", str(program)], folder, os.environ).split(_BREAK)


def run_shell(block: Block, folder: Path, variables: Mapping[str, str]) -> str:
    """Run a block as a shell does that stops at the first failure, and return what it has printed."""
    here = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", **variables}
    return _run(["bash", "-euo", "pipefail", "-c", block.text], folder, environment)


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    path = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    done = subprocess.run(
        command, cwd=folder, env={**environment, "PYTHONPATH": path, "COLUMNS": "100"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def prints(block: Block, output: str) -> bool:
    """Whether a block has printed what the page shows."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return block.output is None or doctest.OutputChecker().check_output(block.output, output, options)
