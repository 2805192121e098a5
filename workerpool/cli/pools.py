"""The pool of a command: threads of this process, processes of this machine, or those of a Dask cluster."""

from collections.abc import Mapping
from typing import Any

import click

from ..caller.anypool import AnyPool
from ..caller.pool import WorkerPool
from ..errors import InvalidRequest, WorkerPoolError
from .given import usage_error

__all__ = ["opened"]


def opened(given: Mapping[str, Any], options: dict[str, Any]) -> Any:
    """Return a pool with these options, on what --processes or --dask name; raises a usage error."""
    try:
        if not _is_spread(given):
            return WorkerPool(**options)
        return _spread(given, dict(options))
    except InvalidRequest as exc:
        raise usage_error(exc) from None


def _is_spread(given: Mapping[str, Any]) -> bool:
    return given["processes"] is not None or given["dask"] is not None


def _spread(given: Mapping[str, Any], options: dict[str, Any]) -> AnyPool:
    if given["processes"] is not None and given["dask"] is not None:
        raise click.UsageError("--processes starts processes here, --dask uses those of a cluster; give one of them")
    try:
        from ..cluster import DaskPool  # an extra
    except ImportError as exc:
        raise click.UsageError(str(exc)) from None
    threads = options.pop("workers", None)
    try:
        return DaskPool(given["dask"], processes=given["processes"], workers_per_process=threads, **options)
    except InvalidRequest:
        raise
    except WorkerPoolError as exc:
        raise click.UsageError(str(exc)) from None
