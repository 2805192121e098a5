"""`--dry-run`: the pace and the length of a run, host by host, before it begins."""

import sys
from collections.abc import Callable, Iterator, Mapping
from time import sleep
from typing import Any, NoReturn

import click

from ..caller.anypool import AnyPool
from ..scraping.backlog import Source
from ..scraping.errors import InputError
from ..scraping.forecast import HostForecast, forecast
from ..scraping.item import Item
from ..scraping.sinks.text import defused
from .made import made_politeness
from .progress import show_table, show_text
from .scrape import plain_pool

__all__ = ["dry_run"]

_SHOWN = 50  # hosts
_LOOK = 0.05  # seconds between two looks at an input that comes slowly


def dry_run(
    given: Mapping[str, Any],
    inputs: Callable[[AnyPool], Source],
    *,
    note: str = "",
) -> NoReturn:
    """Print what each host would get, and exit; nothing but robots.txt is asked for."""
    politeness = made_politeness(given)
    try:
        with plain_pool(given) as pool:
            found = list(forecast(_items(inputs(pool)), politeness, pool))
    except (InputError, OSError) as exc:
        click.echo(f"workerpool: {defused(str(exc))}", err=True)
        sys.exit(4)
    columns = ("host", "URLs", "disallowed", "pace", "at least")
    show_table("What each host would get", columns, [_row(host) for host in found[:_SHOWN]])
    if len(found) > _SHOWN:
        show_text(f"... and {len(found) - _SHOWN} further hosts")
    longest = max((host.seconds or 0.0 for host in found), default=0.0)
    urls = sum(host.urls for host in found)
    show_text(f"{urls} requests to {len(found)} hosts; at least {_duration(longest)}, for hosts run side by side")
    if not given["robots"]:
        show_text("robots.txt was not asked for: --robots would")
    if note:
        show_text(note)
    sys.exit(0)


def _items(source: Source) -> Iterator[Item]:
    for found in source.read():
        if found is None:
            sleep(_LOOK)
        else:
            yield found[0]


def _row(host: HostForecast) -> tuple[str, ...]:
    if host.gap:
        pace = f"one in {host.gap:g} s ({host.cause})"
    else:
        pace = f"{host.per_host} at a time" if host.per_host else "as it answers"
    least = "-" if host.seconds is None else _duration(host.seconds)
    return defused(host.host), str(host.urls), str(host.refused), pace, least


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
