"""The page of a report: one file of HTML that needs nothing else, and lets nothing else run."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from ..._version import __version__
from ...assets import asset_text
from .curves import curves
from .figures import Figures
from .sections import head, sections
from .tables import safe

__all__ = ["page"]


def page(figures: Figures, *, title: str = "", complete: bool | None = None) -> str:
    """Return the page; `complete` says whether the run has come to its end, None that nobody knows."""
    style = asset_text("uPlot.min.css") + "\n" + _asset("report.css")
    scripts = (asset_text("uPlot.iife.min.js"), _asset("report.js"))
    body = "\n".join((*head(figures, title, complete), *sections(figures), _foot()))
    code = "\n".join(f"<script>{each}</script>" for each in scripts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(style, *scripts)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{safe(title or "Report of a run")}</title>
<style>{style}</style></head>
<body>
{body}
<script type="application/json" id="data">{_embedded(curves(figures))}</script>
{code}
</body></html>
"""


def _foot() -> str:
    return (
        f"<footer>Made by workerpool {safe(__version__)}. Values of queries and other secrets of URLs are left out."
        " The curves are drawn by uPlot, © Leon Sorokin, under the MIT licence.</footer>"
    )


def _policy(style: str, *scripts: str) -> str:
    """Return the rule by which browsers run these scripts, no others, and ask nobody for anything."""
    allowed = " ".join(map(_source, scripts))
    return f"default-src 'none'; style-src {_source(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embedded(data: Any) -> str:
    """Return data as JSON that ends no element it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8")
