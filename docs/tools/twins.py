"""What a build of the manual gets beside its pages: each as Markdown, and llms.txt, which lists them for programs."""

import re
import shutil
from pathlib import Path
from typing import Any

__all__ = ["listing", "setup"]

ROOT = Path(__file__).parents[2]
_ABOUT = "HTTP at full speed from plain threaded Python: a thread-isolated pool of aiohttp sessions."
_AWAY = """<!doctype html><meta charset="utf-8"><title>workerpool</title>
<meta http-equiv="refresh" content="0; url=docs/index.html">
"""
_TREE = re.compile(r"```\{toctree\}\n:caption: (?P<caption>[^\n]*)\n:hidden:\n\n(?P<pages>.*?)```", re.S)


def parts() -> list[tuple[str, list[Path]]]:
    """Return what docs/index.md lists: each caption with its pages, in order."""
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    found = [(each["caption"], each["pages"].split()) for each in _TREE.finditer(text)]
    return [(caption, [(ROOT / "docs" / f"{page}.md").resolve() for page in pages]) for caption, pages in found]


def listing() -> str:
    """Return llms.txt: for each page its title, its address beside it, and its first sentence."""
    lines = [
        "# workerpool",
        "",
        f"> {_ABOUT}",
        "",
        "Each page is there as HTML and, at the same address with .md, as Markdown.",
    ]
    for caption, pages in parts():
        lines += ["", f"## {caption}", ""]
        for page in pages:
            title, about = _head(page.read_text(encoding="utf-8"))
            lines.append(f"- [{title}]({page.relative_to(ROOT)}){about and f': {about}'}")
    return "\n".join(lines) + "\n"


def _head(text: str) -> tuple[str, str]:
    """Return the title of a page and the first sentence of its first paragraph, as plain text."""
    title, _, rest = text.partition("\n")
    blocks = re.split(r"\n\s*\n", re.sub(r"<!--.*?-->|^```.*?^```", "", rest, flags=re.S | re.M).strip())
    first = next((block for block in blocks if re.match(r"[\w*`\[]", block)), "")
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)|\*\*", lambda found: found[1] or "", " ".join(first.split()))
    return title.lstrip("# "), re.split(r"(?<=[.:]) (?=[A-Z`*])", plain)[0].rstrip(":")


def _finish(app: Any, exception: Exception | None) -> None:
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for name in app.env.found_docs:
        shutil.copyfile(app.env.doc2path(name), out / f"{name}.md")
    (out / "llms.txt").write_text(listing(), encoding="utf-8")
    (out / "index.html").write_text(_AWAY, encoding="utf-8")


def _lead_to_a_page(_app: Any, _name: str, source: list[str]) -> None:
    """Lead a link to a folder, which is shown where files are read, to the page of it."""
    source[0] = source[0].replace("](examples/)", "](docs/examples.md)")


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx do it, at the end of a build."""
    app.connect("build-finished", _finish)
    app.connect("source-read", _lead_to_a_page)
    return {"parallel_read_safe": True}
