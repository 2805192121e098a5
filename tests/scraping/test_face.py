"""What `workerpool.scraping` promises: each name is there, is told of, and is all that docs and examples need."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workerpool import scraping

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scraping.md").read_text()
TEXTS = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
TEXTS |= {
    f"{path.name} {number}": block
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))
}


@pytest.mark.parametrize("name", scraping.__all__)
def test_each_name_is_there_and_is_told_of(name):
    """Loaded at once or when it is named, with a docstring of its own."""
    found = getattr(scraping, name)
    assert name in dir(scraping)
    if name != "Position":  # an alias
        assert re.match(r"[A-Z]", inspect.getdoc(found))


def test_type_checkers_see_what_is_loaded_later():
    """The imports for them, and what is loaded by name, are the same names of the same places."""
    tree = ast.parse(Path(scraping.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    named = {alias.name: node.module for node in block.body for alias in node.names}
    assert scraping.LATER == named
    assert named.keys() < set(scraping.__all__)


def test_what_is_no_name_is_an_attribute_error():
    """As of any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        scraping.Nothing  # noqa: B018


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_docs_and_examples_need_nothing_else(text):
    """They import from the face, and what is there."""
    code = text if ">>>" not in text else ""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workerpool.scraping"):
            assert (node.module, set()) == (
                "workerpool.scraping",
                {alias.name for alias in node.names} - set(scraping.__all__),
            )


MISSING = """
import sys
sys.modules["w3lib.url"] = sys.modules["selectolax.lexbor"] = sys.modules["cryptography"] = None
sys.modules["pyarrow"] = sys.modules["cryptography.exceptions"] = None
from workerpool.scraping import Crawl, Politeness, Traps, explain, sink_for
for name in ("Scope", "Page", "Signer", "Parquet"):
    try:
        exec(f"from workerpool.scraping import {name}")
    except ImportError as error:
        print(name, error)
"""


def test_a_missing_extra_is_named_by_what_needs_it():
    """All else does without."""
    command = [sys.executable, "-W", "error", "-c", MISSING]
    done = subprocess.run(command, capture_output=True, text=True, timeout=80, check=True)
    found = dict(re.findall(r"^(\w+) .*pip install 'aiohttp-workerpool\[(\w+)\]'", done.stdout, re.M))
    assert {"Scope": "scrape", "Page": "scrape", "Signer": "sign", "Parquet": "parquet"} == found
