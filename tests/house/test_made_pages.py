"""Pages that are made of the package are those that it makes."""

import importlib.util
import re
import subprocess
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


def test_the_picture_is_the_one_that_is_drawn():
    """By docs/tools/way.py, which names what there is."""
    way = tool("way")
    assert way.drawn() == way.PICTURE.read_text()
    tree = " ".join(path.read_text() for path in (ROOT / "workerpool").rglob("*.py"))
    for name in re.findall(r'class="head"[^>]*>([\w.]+)<', way.drawn()):
        for part in name.split("."):
            assert re.search(rf"(class|def) {part}\b", tree), name


def test_the_public_api_is_the_one_that_is_written_down():
    """What changes there is seen where the change is read."""
    surface = tool("surface")
    assert surface.surface().splitlines() == surface.DUMP.read_text().splitlines(), "python docs/tools/surface.py"


@pytest.mark.slow
def test_the_manual_is_built(tmp_path):
    """With nothing to warn of, each page beside its Markdown; where Sphinx is installed."""
    for name in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(name)
    options = ["-W", "-n", "-q", "--keep-going", "-c", "docs", "-d", tmp_path / "trees"]
    command = [sys.executable, "-m", "sphinx", *options, ".", tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    pages = {page.relative_to(tmp_path / "out").with_suffix("") for page in (tmp_path / "out").rglob("*.md")}
    assert {page.relative_to(ROOT).with_suffix("") for page in (ROOT / "docs").rglob("*.md")} <= pages
    assert all((tmp_path / "out" / page).with_suffix(".html").exists() for page in pages)
    assert tool("twins").listing() == (tmp_path / "out" / "llms.txt").read_text()
