"""The private parts of aiohttp, each in one place; checked when they are imported."""
