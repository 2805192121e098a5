"""What a program at least has to do: bare aiohttp in a loop, a line of JSON for each URL of a file.

python -m benchmarks.fetchers.floor URLS OUT CONNECTIONS
"""

import asyncio
import json
import sys
from pathlib import Path

import aiohttp

try:
    from uvloop import run  # what the pool takes where it is installed
except ImportError:
    from asyncio import run  # type: ignore[assignment]


async def _fetch_all(urls: Path, out: Path, connections: int) -> None:
    connector = aiohttp.TCPConnector(limit=connections)
    with urls.open() as lines, out.open("w") as rows:

        async def drain() -> None:
            for line in lines:
                url = line.strip()
                async with session.get(url) as answer:
                    body = await answer.read()
                    rows.write(json.dumps({"url": url, "status": answer.status, "bytes": len(body)}) + "\n")

        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(drain() for _ in range(connections)))


if __name__ == "__main__":
    run(_fetch_all(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
