"""`workerpool crawl`: from seeds along links, within a scope."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from yarl import URL

from ..caller.anypool import AnyPool
from ..errors import InvalidRequest
from . import options
from .defaults import Command, option

__all__ = ["crawl"]


@click.command(cls=Command)
@click.argument("urls", nargs=-1, required=True)
@option("--depth", type=click.IntRange(0), help="Links between a seed and a page at most; no limit if left out.")
@option("--scope", default="host", show_default=True, type=click.Choice(["host", "domain", "prefix"]),
        help="What pages have in common with a seed: host, registrable domain, or host and folder.")  # fmt: skip
@option("--allow", multiple=True, metavar="REGEX", help="Only URLs in which one of these is found; may be repeated.")
@option("--deny", multiple=True, metavar="REGEX", help="No URLs in which one of these is found; may be repeated.")
@option("--sitemap", "sitemaps", multiple=True, metavar="URL",
        help="Begin with what this lists, too; may be repeated. Those of robots.txt are read anyway.")  # fmt: skip
@option("--robots/--no-robots", default=True, show_default=True, help="Obey robots.txt, and nofollow on links.")
@option("--per-host", default=8, show_default=True, type=click.IntRange(0), help="At once at each host; 0: no limit.")
@options.budgets
@options.outputs
@options.states
@options.politeness
@options.network
@options.signing
@options.telling
def crawl(urls: tuple[str, ...], **given: Any) -> None:
    """Crawl from URLS along links and sitemaps, politely and within a scope; a line of JSON for each page.

    \b
    Exits 0 if all succeeded,
          1 if some failed,
          2 for wrong usage,
          3 if a budget (--max-...) has stopped it and the state can go on,
          4 if an output or the state cannot be written,
          130 after Ctrl-C, 143 after TERM.
    """
    if not given["robots"] and not given["quiet"]:
        click.echo("workerpool: --no-robots: robots.txt is not read, and what it forbids is asked for", err=True)
    try:
        _crawl(urls, given | {"is_list": False})
    except ImportError as exc:
        raise click.UsageError(str(exc)) from None


def _crawl(urls: tuple[str, ...], given: Mapping[str, Any]) -> None:
    from ..scraping.following import follow, sitemap_item  # an extra
    from ..scraping.gathered import Listed
    from ..scraping.item import Item
    from ..scraping.scope import url_key
    from ..scraping.traps import Traps
    from .dry_run import dry_run
    from .made import made_extractor, own_headers
    from .scrape import Run, scrape

    scope, traps = _scope(urls, given), Traps()
    onward = follow(scope, traps, made_extractor(given), nofollow=given["robots"])
    items = [*(Item(url=url) for url in urls), *map(sitemap_item, given["sitemaps"])]

    def inputs(_pool: AnyPool) -> Any:
        return Listed(items)

    if given["dry_run"]:
        dry_run(given, inputs, note="How many pages a crawl finds is not known before it; these are the seeds alone.")
    headers, homes = own_headers(given), {_origin(url) for url in urls}
    scrape(
        Run(
            inputs=inputs,
            identity=_identity(urls, given),
            parse=onward,
            accepts=onward.accepts,
            key=url_key,
            headers=(lambda url: headers if _origin(url) in homes else ()) if headers else None,
            sitemaps=given["robots"],
            told=lambda: _aside(traps),
        ),
        given,
    )


def _aside(traps: Any) -> Iterator[str]:
    for trap, number in traps.aside.items():
        yield f"set aside: {trap.place} ({trap}), {number} URLs held back"


def _scope(urls: tuple[str, ...], given: Mapping[str, Any]) -> Any:
    from ..scraping.scope import Scope  # an extra

    try:
        found = Scope(urls, by=given["scope"], allow=given["allow"], deny=given["deny"], depth=given["depth"])
    except InvalidRequest as exc:
        raise click.UsageError(str(exc)) from None
    except ValueError as exc:
        raise click.UsageError(f"--allow or --deny: {exc}") from None
    for url in (*urls, *given["sitemaps"]):
        if not url.lower().startswith(("http://", "https://")):
            raise click.UsageError(f"{url!r} is no URL to begin with; did you mean https://{url}?")
    return found


def _origin(url: str) -> str:
    try:
        return str(URL(url).origin())
    except ValueError:
        return ""


def _identity(urls: tuple[str, ...], given: Mapping[str, Any]) -> dict[str, str]:
    found = {"command": "crawl", "seeds": " ".join(urls), "--scope": given["scope"]}
    for name in ("allow", "deny", "sitemaps"):
        if given[name]:
            found[f"--{name.removesuffix('s')}"] = " ".join(given[name])
    if given["depth"] is not None:
        found["--depth"] = str(given["depth"])
    return found
