"""Scraping at scale: runs that are polite, lose no URL, and explain themselves.

    from workerpool.scraping import Crawl, Politeness, sink_for

    with open("urls") as urls:
        Crawl(map(str.strip, urls), state="run.db", sinks=[sink_for("results.jsonl")]).run()

`__all__` is what is promised. What not every run needs is loaded when it is first named; where an extra is missing for
that, the ImportError says what to install.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .backlog import Source
from .crawl import Crawl
from .errors import InputError, OtherRun, SinkError, StateError
from .item import Item
from .outcome import Attempt, Outcome
from .politeness import Politeness
from .progress import Progress
from .report import Report
from .sinks.base import Position, Sink
from .sinks.choice import folder_for, sink_for
from .sinks.csv import Csv
from .sinks.folder import Folder
from .sinks.jsonl import JsonLines
from .sinks.warc import Warc
from .summary import Summary
from .telling import Signs
from .watching import Watcher

if TYPE_CHECKING:
    from .asking_again import ask_again
    from .explaining import Explanation, explain
    from .extracting import Extractor
    from .following import Following, follow, sitemap_item
    from .gathered import Gathered, SitemapInput
    from .identity import Identity, make_identity
    from .inputs import BadLine, Input, read_items
    from .links import Link, Page
    from .reading import Standing, standing
    from .scope import Scope, canonical_url, registrable_domain, url_key
    from .shards import WarcShards
    from .signing import Signer
    from .sinks.parquet import Parquet
    from .sinks.remote import RemoteFolder
    from .sinks.wacz import Wacz
    from .traps import Trap, TrapLimits, Traps

__all__ = [
    "Attempt",
    "BadLine",
    "Crawl",
    "Csv",
    "Explanation",
    "Extractor",
    "Folder",
    "Following",
    "Gathered",
    "Identity",
    "Input",
    "InputError",
    "Item",
    "JsonLines",
    "Link",
    "OtherRun",
    "Outcome",
    "Page",
    "Parquet",
    "Politeness",
    "Position",
    "Progress",
    "RemoteFolder",
    "Report",
    "Scope",
    "Signer",
    "Signs",
    "Sink",
    "SinkError",
    "SitemapInput",
    "Source",
    "Standing",
    "StateError",
    "Summary",
    "Trap",
    "TrapLimits",
    "Traps",
    "Wacz",
    "Warc",
    "WarcShards",
    "Watcher",
    "ask_again",
    "canonical_url",
    "explain",
    "folder_for",
    "follow",
    "make_identity",
    "read_items",
    "registrable_domain",
    "sink_for",
    "sitemap_item",
    "standing",
    "url_key",
]

LATER = {
    "BadLine": "inputs",
    "Explanation": "explaining",
    "Extractor": "extracting",
    "Following": "following",
    "Gathered": "gathered",
    "Identity": "identity",
    "Input": "inputs",
    "Link": "links",
    "Page": "links",
    "Parquet": "sinks.parquet",
    "RemoteFolder": "sinks.remote",
    "Scope": "scope",
    "Signer": "signing",
    "SitemapInput": "gathered",
    "Standing": "reading",
    "Trap": "traps",
    "TrapLimits": "traps",
    "Traps": "traps",
    "Wacz": "sinks.wacz",
    "WarcShards": "shards",
    "ask_again": "asking_again",
    "canonical_url": "scope",
    "explain": "explaining",
    "follow": "following",
    "make_identity": "identity",
    "read_items": "inputs",
    "registrable_domain": "scope",
    "sitemap_item": "following",
    "standing": "reading",
    "url_key": "scope",
}


def __getattr__(name: str) -> Any:
    """Load what is named for the first time; raises ImportError with the cure where an extra is missing."""
    if (place := LATER.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f".{place}", __name__), name)
    return found


def __dir__() -> list[str]:
    """Return the names that are there, or would be."""
    return sorted({*globals(), *__all__})
