"""`workerpool submit`: URLs in, a durable job of a service out."""

import os
import sys
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

import click

from ..caller.pool import WorkerPool
from ..scraping.errors import InputError
from ..scraping.gathered import SitemapInput, is_sitemap
from ..scraping.inputs import BadLine, Input
from ..scraping.item import Item
from ..service import BadArgument, BadSubmission, Client, Job
from .calling import FAILED, connected, is_table, labels_of, opened, shows, trouble, write_lines
from .defaults import Command, option
from .given import POSITIVE, Asked, checked_request, pairs

__all__ = ["submit"]

_MOST = 100_000  # requests of one job
_NONE: Any = object()


@click.command(cls=Command)
@click.argument("urls", nargs=-1)
@click.option("-i", "--input", "source", type=click.Path(dir_okay=False, allow_dash=True),
              help="File with one URL a line, or - for stdin; by its end also .csv, .jsonl with options for each URL, "
                   ".xml or the URL of a sitemap; .gz and .zst are unpacked.")  # fmt: skip
@option("--column", help="Column of a CSV that has the URLs, by name or number from 1; url, or the first one.")
@option("-X", "--method", help="GET if left out; POST with --data.")
@option("-d", "--data", help="Body of each request; @FILE: what is in the file.")
@option("-H", "--header", "headers", multiple=True, help="A header 'Name: value'; may be repeated.")
@option("--timeout", type=POSITIVE, help="Seconds for each request; the service's if left out.")
@click.option("--id", help="The job's id; one is made if left out.")
@option("--lane", help="The lane; default if left out.")
@option("--priority", type=click.IntRange(-1000, 1000), help="Higher goes first within the lane.")
@option("--label", "labels", multiple=True, metavar="NAME:VALUE", help="A label; may be repeated.")
@click.option("--not-before", metavar="TIME", help="Begin then, such as 2026-12-01T08:00:00Z.")
@option("--expires-in", type=POSITIVE, help="Give up after so many seconds.")
@option("--attempts", type=click.IntRange(1, 20), help="How often each request is tried at most.")
@option("--webhook", metavar="URL", help="Whom to tell when the job is done.")
@option("--keep-bodies/--no-keep-bodies", default=None, help="Keep the bodies of answers.")
@click.option("--key", help="Idempotency-Key: the same command with the same key makes no second job.")
@click.option("--wait", is_flag=True, help="Wait until the job is done, and show how it is then.")
@shows
@connected
def submit(urls: tuple[str, ...], source: str | None, **given: Any) -> None:
    """Submit URLS, and those of a file, as a job of a service; show it once it is on the service's disk.

    More than 100,000 are several jobs. A bad line refuses the whole, and nothing is submitted.

    \b
    Exits 0 if it was accepted; with --wait, if all of it has succeeded,
          1 if the service refuses it; with --wait, if some of it has failed,
          2 for wrong usage, and for requests that cannot be,
          4 if the service cannot be reached, or the input cannot be read,
          130 after Ctrl-C: what was accepted goes on.
    """
    _check_inputs(urls, source, given)
    fields = _fields(given)
    asked = checked_request(given["method"], given["data"])
    with opened(given) as client:
        jobs = list(_submitted(client, _requests(urls, source, given, asked), fields, given["key"]))
        if given["wait"]:
            jobs = [client.wait(each) for each in jobs]
        if is_table(given["shape"]):
            from .tables import show_jobs

            show_jobs(jobs)
        else:
            write_lines(jobs)
    sys.exit(FAILED if given["wait"] and not all(each.ok for each in jobs) else 0)


def _check_inputs(urls: tuple[str, ...], source: str | None, given: Mapping[str, Any]) -> None:
    if not urls and source is None:
        raise click.UsageError("there is nothing to submit; give URLs, or a file of them with -i (- for stdin)")
    if given["column"] is not None and (source is None or is_sitemap(source)):
        raise click.UsageError("--column needs -i FILE: a CSV, or - for stdin")
    if source is not None and source != "-" and "://" not in source and not os.access(source, os.R_OK):
        raise click.UsageError(f"-i {source!r} cannot be read; give a file with one URL a line, or - for stdin")
    if source == "-" and given["token_file"] == "-":
        raise click.UsageError("-i - and --token-file - would both read stdin")


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "lane", "priority", "not_before", "expires_in", "webhook", "keep_bodies")
    return {name: given[name] for name in names} | {
        "retry": given["attempts"], "labels": labels_of(given["labels"]) or None,
    }  # fmt: skip


def _submitted(
    client: Client, requests: Iterator[dict[str, Any]], fields: dict[str, Any], key: str | None
) -> Iterator[Job]:
    """Submit 100,000 at a time; of several jobs the later ones have a number behind id and key."""
    number = 1
    while (first := next(requests, _NONE)) is not _NONE:
        names = {"id": fields["id"], "idempotency_key": key}
        if number > 1:
            names = {name: value and f"{value}-{number}" for name, value in names.items()}
        yield client.submit(islice(chain((first,), requests), _MOST), **fields | names)
        number += 1
    if number == 1:
        raise BadSubmission("there is nothing to submit: the input has no URL")


def _requests(
    urls: tuple[str, ...], source: str | None, given: Mapping[str, Any], asked: Asked
) -> Iterator[dict[str, Any]]:
    headers = dict(pairs(given["headers"]))
    for item in chain((Item(url=each) for each in urls), _items(source, given["column"])):
        found = _request(item, asked)
        if headers:
            found["headers"] = headers | found.get("headers", {})
        if given["timeout"] is not None:
            found["timeout"] = given["timeout"]
        yield found


def _items(source: str | None, column: str | None) -> Iterator[Item]:
    if source is None:
        return
    if is_sitemap(source):
        with WorkerPool(workers=1, name="workerpool-sitemaps") as pool:
            for found in SitemapInput(source, pool, on_trouble=trouble).read():
                if found is not None:
                    yield found[0]
        return
    by = int(column) if column is not None and column.isascii() and column.isdigit() else column
    try:
        listed = Input(source, format="csv" if source == "-" and column else None, column=by, on_bad=_refuse)
        yield from (item for item, _ in listed.read())
    except InputError as exc:
        raise BadArgument(f"-i {source}: {exc}") from None


def _refuse(bad: BadLine) -> None:
    raise BadSubmission(f"line {bad.number}: {bad.reason}; nothing of it was submitted", errors=[{"line": bad.number}])


def _request(item: Item, asked: Asked) -> dict[str, Any]:
    """Return an item as the wire has it, with the method and the body of the command where it names none."""
    if item.lane is not None or item.priority != 0:
        raise BadSubmission(f"line {item.line}: lane and priority are the whole job's; give --lane and --priority")
    is_plain = item.method == "GET" and item.body is None
    method, body = (asked.get("method"), asked.get("data")) if is_plain else (item.method, item.body)
    found = {"url": item.url, "method": method, "data": body, "headers": dict(item.headers) or None, "ref": item.name}
    return {name: value for name, value in found.items() if value is not None}
