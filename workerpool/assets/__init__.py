"""What browsers get of others' making, for every page of this package: uPlot, under its licence beside it."""

from functools import cache
from importlib.resources import files

__all__ = ["asset_text"]


@cache
def asset_text(name: str) -> str:
    """Return a file of this folder."""
    return (files(__package__) / name).read_text("utf-8")
