"""The options that `fetch` and `crawl` share, in groups."""

from collections.abc import Callable
from functools import reduce
from typing import Any, Protocol, TypeAlias, TypeVar

import click

from .defaults import option
from .given import POSITIVE

__all__ = ["budgets", "network", "outputs", "politeness", "signing", "states", "telling"]

F = TypeVar("F", bound=Callable[..., Any])
Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


class Options(Protocol):
    """A decorator of a command's function, which gives it options."""

    def __call__(self, function: F, /) -> F:
        """Return the same function."""


def _group(*options: Decorator) -> Options:
    """Return all as one decorator; they are in the help in this order."""
    return lambda function: reduce(lambda found, each: each(found), reversed(options), function)


outputs: Options = _group(
    option("-o", "--output", "outputs", multiple=True, type=click.Path(dir_okay=False, allow_dash=True),
           help="File for the results, by its end: .jsonl .csv .parquet .warc.gz .wacz, lines of JSON for others, - "
                "for stdout; may be repeated. Stdout if left out."),
    option("--save", metavar="DIR|URL", help="Save each body as a file there: a folder, or a URL as s3://bucket/x."),
    option("--extract", "extracts", multiple=True, metavar="NAME=KIND:WHERE",
           help="A field of each result, such as title=css:title, price=json:a.b, tag=header:ETag; may be repeated."),
    option("--body/--no-body", help="Put the text of each body into its line."),
)  # fmt: skip
states: Options = _group(
    option("--state", type=click.Path(dir_okay=False),
           help="File in which the run keeps how far it is: after a stop or a kill the same command goes on."),
    click.option("--resume", is_flag=True, help="Go on only: it is an error if there is no state."),
    click.option("--since", type=click.Choice(["last"]),
                 help="Go through the complete run of --state once more, and tell in each row what has changed since "
                      "(new, changed, same, gone). Rows go to a new -o; --save may be that of before."),
    click.option("--restart", is_flag=True, help="Begin anew, whatever the state says; outputs are overwritten."),
)  # fmt: skip
budgets: Options = _group(
    option("--max-pages", type=click.IntRange(1), help="Stop after so many answers or failures."),
    option("--max-time", type=POSITIVE, help="Stop after so many seconds."),
    option("--max-bytes", type=click.IntRange(1), help="Stop after so many bytes of bodies."),
)
network: Options = _group(
    option("--connections", default=100, show_default=True, type=click.IntRange(0), help="At once; 0: no limit."),
    option("--workers", type=click.IntRange(1), help="Worker threads; as many as pay off if left out."),
    option("--processes", type=click.IntRange(1),
           help="So many processes of this machine do the work, by Dask; an extra."),
    option("--dask", metavar="ADDRESS", help="The workers of the Dask scheduler there do it, such as tcp://host:8786."),
    option("--rate", type=POSITIVE, help="Requests a second, evenly spaced; no limit if left out."),
    option("--timeout", default=30.0, show_default=True, type=POSITIVE,
           help="Seconds for each URL, retries included, but not its wait for a place; with a state or politeness for "
                "each attempt."),
    option("--retries", default=2, show_default=True, type=click.IntRange(0, 100),
           help="How often a URL is tried again after a lost connection, silence, or a 429 or 5xx."),
    option("-H", "--header", "headers", multiple=True, help="A header 'Name: value'; may be repeated."),
    option("--proxy", help="http://, https:// or socks5h:// URL; those of the environment are not used."),
    option("--insecure", is_flag=True, help="Check no certificates."),
)  # fmt: skip
politeness: Options = _group(
    option("--per-host-rate", type=POSITIVE, help="Requests a second at each host."),
    option("--delay", type=POSITIVE, help="Seconds between two requests to a host, one at a time."),
    option("--auto/--no-auto", help="Slow down for hosts that answer 429 or 503, or ever more slowly."),
    option("--contact", help="URL or mail address that the User-Agent tells: who to turn to."),
    option("--respect", "respects", multiple=True,
           type=click.Choice(["noai", "noaiinput", "noarchive", "noindex", "tdm"]),
           help="Leave out what robots.txt tells not to be used so; may be repeated."),
    click.option("--dry-run", is_flag=True, help="Ask for robots.txt only; print pace and length for each host."),
)  # fmt: skip
signing: Options = _group(
    option("--sign", metavar="KEY", type=click.Path(dir_okay=False), help="Sign each request (see identity)."),
    option("--sign-as", metavar="URL", help="The https site that has the key's directory."),
)
telling: Options = _group(
    option("--report", type=click.Path(dir_okay=False), help="Write a page about the run, when it ends (HTML)."),
    option("--plot", is_flag=True, help="Show rate and latency over time on stderr, when it ends."),
    option("-q", "--quiet", is_flag=True, help="No progress and no summary."),
    option("-v", "--verbose", count=True, help="Tell more on stderr: what the library logs; -vv: all of it."),
)
