"""Whole programs that fetch a list of URLs, side by side: `python -m benchmarks.fetchers`."""
