"""The manual, as Sphinx makes it: `tox -e docs`, or `sphinx-build -W -n -c docs . build/docs` at the root.

The source is the root, so that links between README.md, CONTRIBUTING.md and the pages are the same files here as
where the repository is read.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "tools")]

from workerpool import __version__

project = "workerpool"
author = "The workerpool authors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "twins"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/*/*.md"]
exclude_patterns = ["build", "dist", ".*", "*.egg-info", "workerpool", "tests", "benchmarks"]

myst_heading_anchors = 4

# Docstrings say `name` for code. A build needs no network, so that no name of another package is looked up; nor is
# what is annotated with a name that is not exported.
default_role = "code"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
nitpick_ignore_regex = [("py:.*", r"(?!workerpool\.\w+$).*")]

html_theme = "furo"
html_title = f"workerpool {release}"
html_copy_source = False
html_show_sourcelink = False
pygments_dark_style = "monokai"
