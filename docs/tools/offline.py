"""The manual as one HTML file that needs nothing else: `python docs/tools/offline.py workerpool.html`.

Sphinx makes one page of all pages; here its styles, scripts and pictures go into it.
"""

import re
import subprocess
import sys
import tempfile
from base64 import b64encode
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["main", "whole"]

ROOT = Path(__file__).parents[2]
_STYLE = re.compile(r'<link rel="stylesheet"[^>]* href="([^"]+)"[^>]*>')
_SCRIPT = re.compile(r'<script[^>]* src="([^"]+)"[^>]*></script>')
_PICTURE = re.compile(r'(<img[^>]* src=")([^"]+)(")')
_SEARCH = re.compile(r'<form[^>]* action="search.html".*?</form>', re.DOTALL)  # the browser's own finds all of a page
_HEADING = re.compile(r'href="#document-[^"#]*#')  # of a page that has several titles
_LINKED = re.compile(r'<link rel="(?:index|search|next|prev)"[^>]*>')  # pages that this one is made of


def main(target: str) -> int:
    """Write the file; returns the exit code of Sphinx."""
    with tempfile.TemporaryDirectory() as place:
        options = ["-b", "singlehtml", "-W", "-q", "--keep-going", "-c", str(ROOT / "docs"), "-d", f"{place}/trees"]
        command = [sys.executable, "-m", "sphinx", *options, str(ROOT), f"{place}/html"]
        if code := subprocess.run(command, check=False).returncode:
            return code
        page = Path(place, "html", "docs", "index.html")
        Path(target).write_text(whole(page), encoding="utf-8")
    return 0


def whole(page: Path) -> str:
    """Return a page with all that it is shown with."""

    def file(address: str) -> Path:
        path = unquote(urlsplit(address).path)
        return next(each for each in (page.parent / path, page.parents[1] / path) if each.exists())

    def text(address: str) -> str:
        return file(address).read_text(encoding="utf-8")

    def data(address: str) -> str:
        kind = guess_type(file(address).name)[0]
        return f"data:{kind};base64,{b64encode(file(address).read_bytes()).decode()}"

    found = _SEARCH.sub("", _LINKED.sub("", page.read_text(encoding="utf-8")))
    found = _HEADING.sub('href="#', found)
    found = _STYLE.sub(lambda match: f"<style>{text(match[1])}</style>", found)
    found = _SCRIPT.sub(lambda match: f"<script>{text(match[1])}</script>", found)
    return _PICTURE.sub(lambda match: match[1] + data(match[2]) + match[3], found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
