"""What the README says can be typed: its two commands, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAT = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*FLAT, *sorted((ROOT / "docs").glob("*/*.md"))]


def test_the_readme_has_both_commands():
    """The two commands that the README promises are there."""
    text = (ROOT / "README.md").read_text()
    assert "<!-- command: demo -->\n```bash" in text
    assert "<!-- command: test -->\n```bash" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """Links to files of the repository are right from where they stand."""
    targets = re.findall(r"\]\(([^)#]+)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert [] == missing


def test_every_page_can_be_found_from_the_readme():
    """The README links each page of docs/, the examples and what contributors need; pages of a folder are in its index."""
    linked = set(re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()))
    pages = {str(page.relative_to(ROOT)) for page in FLAT} - {"README.md"}
    assert set() == (pages | {"examples/"}) - linked
