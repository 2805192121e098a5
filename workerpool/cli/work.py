"""`workerpool work`: a process that only fetches, for a job service in PostgreSQL; any number of them share it."""

import asyncio
import logging
import sys
from typing import Any

import click

from ..loops import loop_factory
from ..scraping.politeness import Politeness
from .defaults import Command, option
from .serve import networks, service_logs

__all__ = ["work"]

_REFUSED = 4  # exit code: the database cannot be used


@click.command(cls=Command)
@option("--database", metavar="postgresql://...", help="Where jobs and results are kept; the same that `serve` has.")
@option("--allow-address", "allow_addresses", multiple=True, metavar="NETWORK", callback=networks,
        help="Let requests go to these addresses, too, such as 127.0.0.0/8; may be repeated.")  # fmt: skip
@option("--allow-port", "allow_ports", multiple=True, type=click.IntRange(1, 65535),
        help="Let requests go to this port, too; may be repeated.")  # fmt: skip
@option("--workers", type=click.IntRange(1), help="Threads that fetch; as many as pay off if left out.")
@option("--robots/--no-robots", help="Obey robots.txt.")
@option("--agent", help="The name that robots.txt and servers know the service by.")
@option("--contact", help="URL or mail address that the User-Agent tells: who to turn to.")
@option("--drain", default=20.0, show_default=True, type=click.FloatRange(0),
        help="Seconds that requests under way get after TERM.")  # fmt: skip
@option("--log", "log_format", default="text", show_default=True, type=click.Choice(["text", "json"]),
        help="How the log on stderr is written.")  # fmt: skip
@option("-v", "--verbose", count=True, help="Tell more on stderr.")
def work(**given: Any) -> None:
    """Fetch what the job service has to fetch; its database is to be PostgreSQL.

    \b
    Any number of these, and of `workerpool serve`, share one database; each host is asked by one of them at a time.
    TERM and Ctrl-C end it: what is under way is finished, the others get what waits.
    Exits 0 then, 2 for wrong usage, 4 if the database cannot be used.
    """
    database = given["database"] or ""
    if not database.startswith(("postgresql://", "postgres://")):
        raise click.UsageError(
            "give --database postgresql://USER@HOST:PORT/NAME; a file is for one process, which is `workerpool serve`"
        )
    try:
        from ..service.errors import StoreRefused
        from ..service.policy import usual_rules
        from ..service.settings import ServiceSettings
        from ..service.working import work as work_on
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] in ("", "workerpool"):
            raise
        raise click.UsageError(
            f"{exc.name} is missing; install it: pip install 'aiohttp-workerpool[server,postgres]'"
        ) from None
    who = {name: given[name] for name in ("agent", "contact") if given[name]}
    settings = ServiceSettings(
        database=database,
        addresses=usual_rules(given["allow_addresses"], given["allow_ports"]),
        workers=given["workers"],
        politeness=Politeness(per_host=0, robots=given["robots"], **who),
        drain=given["drain"],
    )
    with service_logs(given["log_format"], given["verbose"]):
        try:
            with asyncio.Runner(loop_factory=loop_factory("auto")) as runner:
                runner.run(work_on(settings, _tell))
        except StoreRefused as exc:
            click.echo(f"workerpool: {exc}", err=True)
            sys.exit(_REFUSED)


def _tell(database: str) -> None:
    logging.getLogger("workerpool.service").info("working for %s", database)
