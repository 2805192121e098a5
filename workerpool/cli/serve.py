"""`workerpool serve`: the job service, one command. What it needs is loaded when it runs: it is an extra."""

import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import click

from ..loops import loop_factory
from ..scraping.politeness import Politeness
from .defaults import Command, option
from .given import POSITIVE
from .logs import logs_on_stderr

__all__ = ["networks", "serve", "service_logs"]

_COLLECTED = (5000, 20, 20)  # of garbage: thresholds of the three generations
_REFUSED = 4  # exit code: the database or the address cannot be used
_EXTRA = ("fastapi", "starlette", "pydantic", "uvicorn", "prometheus_client", "jinja2", "standardwebhooks")


def networks(_ctx: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is no network."""
    for each in given:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise click.BadParameter(f"{each} is no network, such as 127.0.0.0/8") from None
    return given


@click.command(cls=Command)
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; others than this machine's "
        "need tokens.")  # fmt: skip
@option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@option("--database", default="workerpool.sqlite", show_default=True, metavar="FILE",
        help="Where jobs and results are kept; a file is made if it isn't there.")  # fmt: skip
@option("--public-host", "public_hosts", multiple=True, metavar="NAME[:PORT]",
        help="A name by which clients call the service, beside its address; may be repeated.")  # fmt: skip
@option("--allow-address", "allow_addresses", multiple=True, metavar="NETWORK", callback=networks,
        help="Let requests go to these addresses, too, such as 127.0.0.0/8; may be repeated.")  # fmt: skip
@option("--allow-port", "allow_ports", multiple=True, type=click.IntRange(1, 65535),
        help="Let requests go to this port, too, which is mail's or another protocol's; may be repeated.")  # fmt: skip
@option("--workers", type=click.IntRange(1), help="Threads that fetch; as many as pay off if left out.")
@option("--robots/--no-robots", help="Obey robots.txt.")
@option("--agent", help="The name that robots.txt and servers know the service by.")
@option("--contact", help="URL or mail address that the User-Agent tells: who to turn to.")
@option("--keep-days", default=30.0, show_default=True, type=POSITIVE, help="Days that jobs which are done are kept.")
@option("--keep-bytes", type=click.IntRange(1), help="Bytes that are kept at most; the oldest jobs go first.")
@option("--drain", default=20.0, show_default=True, type=click.FloatRange(0),
        help="Seconds that requests under way get after TERM.")  # fmt: skip
@option("--log", "log_format", default="text", show_default=True, type=click.Choice(["text", "json"]),
        help="How the log on stderr is written.")  # fmt: skip
@option("-v", "--verbose", count=True, help="Tell more on stderr.")
def serve(**given: Any) -> None:
    """Take jobs over HTTP, fetch what they ask for, and keep the results.

    \b
    Tokens come from WORKERPOOL_TOKENS, as ROLE:TOKEN with commas between; roles are read, submit and admin.
    TERM and Ctrl-C end it: what is under way is finished, what waits is kept.
    Exits 0 then, 2 for wrong usage, 4 if the database or the address cannot be used.
    """
    try:
        from ..service.access import tokens_of
        from ..service.errors import StoreRefused
        from ..service.serving import serve as serve_calls
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise click.UsageError(f"{exc.name} is missing; install it: pip install 'aiohttp-workerpool[server]'") from None
    try:
        tokens = tokens_of(os.environ.get("WORKERPOOL_TOKENS", ""))
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    with service_logs(given["log_format"], given["verbose"]), _rare_collections():
        try:
            with asyncio.Runner(loop_factory=loop_factory("auto")) as runner:
                runner.run(serve_calls(_settings(given), tokens, _tell))
        except StoreRefused as exc:
            click.echo(f"workerpool: {exc}", err=True)
            sys.exit(_REFUSED)
        except OSError as exc:
            where = f"{given['host']}:{given['port']}"
            click.echo(f"workerpool: cannot listen on {where}: {exc.strerror}; give another --port or --host", err=True)
            sys.exit(_REFUSED)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect garbage less often, for a block: each request makes many small values, and no circles of them."""
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECTED)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _settings(given: dict[str, Any]) -> Any:
    from ..service.policy import usual_rules
    from ..service.records import Retention
    from ..service.settings import ServiceSettings

    who = {name: given[name] for name in ("agent", "contact") if given[name]}
    return ServiceSettings(
        host=given["host"],
        port=given["port"],
        database=given["database"],
        public_hosts=tuple(given["public_hosts"]),
        addresses=usual_rules(given["allow_addresses"], given["allow_ports"]),
        workers=given["workers"],
        politeness=Politeness(per_host=0, robots=given["robots"], **who),
        drain=given["drain"],
        retention=Retention(age=given["keep_days"] * 86_400, size=given["keep_bytes"]),
    )


def _tell(address: str) -> None:
    gc.collect()
    gc.freeze()  # what is there by now stays, and is most of what each full collection would look at
    logging.getLogger("workerpool.service").info("listening on %s", address)


def service_logs(kind: str, verbose: int) -> Any:
    """Show on stderr what the service logs, as text or JSON."""
    return logs_on_stderr(max(1, verbose), formatter=_Json() if kind == "json" else None)


class _Json(logging.Formatter):
    """A line of JSON for each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as an object."""
        found = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found)
