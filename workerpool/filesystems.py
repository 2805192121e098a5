"""Folders, and what fsspec has a package for, under one name: a path, or a URL such as `s3://bucket/path`."""

from collections.abc import Mapping
from os import PathLike, fspath
from os.path import abspath
from typing import Any

try:
    from fsspec.core import url_to_fs
except ImportError as _exc:
    raise ImportError(
        "saving to a URL needs an extra: pip install 'aiohttp-workerpool[remote]'", name=_exc.name
    ) from _exc

__all__ = ["absolute", "opened", "reason"]


def absolute(place: Any) -> str:
    """Return a folder's whole path, since another process may have another folder as its own; a URL as it is.

    Raises TypeError or ValueError, which say what a place is.
    """
    url = fspath(place) if isinstance(place, PathLike) else place
    if not isinstance(url, str):
        raise TypeError(f"a folder or a URL such as 's3://bucket/pages', not {type(url).__name__}")
    if not url.strip():
        raise ValueError(f"a folder or a URL such as 's3://bucket/pages', not {url!r}")
    return url if "://" in url or "::" in url else abspath(url)


def opened(url: str, storage: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the file system, which fsspec keeps for the next time, and the path there; `storage` are its options."""
    system, root = url_to_fs(url, **storage)
    return system, root.rstrip("/")


def reason(error: Exception) -> str:
    """Return in a few words why a file system has refused."""
    if isinstance(error, ImportError):  # fsspec says which package it misses
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {error}"
