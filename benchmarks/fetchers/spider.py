"""A spider for Scrapy that fetches a file of URLs: `scrapy runspider spider.py -a urls=FILE -O OUT`."""

from collections.abc import Iterator
from typing import Any

import scrapy


class ListSpider(scrapy.Spider):  # type: ignore[misc]  # Scrapy has an environment of its own
    """Ask for each URL once, and yield what the others write."""

    name = "list"
    urls: str

    async def start(self) -> Any:
        """Yield a request for each line, as they are needed."""
        with open(self.urls) as lines:
            for line in lines:
                yield scrapy.Request(line.strip(), self.parse)

    def parse(self, response: Any) -> Iterator[dict[str, Any]]:
        """Yield the row of an answer."""
        yield {"url": response.url, "status": response.status, "bytes": len(response.body)}
