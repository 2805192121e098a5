"""Pages that are made of the package are those that it makes."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "docs" / "tools"
MAKE = "made anew by: python docs/tools/made.py"


def tool(name):
    """Load a tool of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", tool("made").PAGES)
def test_a_page_is_up_to_date(name):
    """Compared line by line with what would be written."""
    page = ROOT / "docs" / name
    assert tool("made").PAGES[name]().splitlines() == page.read_text().splitlines(), MAKE


def test_the_list_for_programs_has_each_page():
    """Each page of the manual, with a title and an address that there is."""
    text = tool("twins").listing()
    for page in [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]:
        assert f"({page.relative_to(ROOT)})" in text or page.name == "index.md", page
    assert "```" not in text
