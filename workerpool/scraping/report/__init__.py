"""The report of a run: figures that are kept while it runs, the page made of them, and a plot for the terminal."""

from .report import Report

__all__ = ["Report"]
