"""The queue of results: batches of a turn, and turns that do not end."""

import asyncio
import threading

import pytest

from workerpool.handover.queues import ResultQueue


async def _awaited(queue):
    return await queue.aget()


WAYS = {"get": lambda queue: queue.get(), "aget": lambda queue: asyncio.run(_awaited(queue))}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_turn_brings_is_one_batch(way):
    """And comes in its order, behind what came before."""
    queue = ResultQueue()

    async def turn():
        for number in range(5):
            queue.put(number)

    queue.put("alone")
    asyncio.run(turn())
    assert [["alone"], [0, 1, 2, 3, 4]] == [WAYS[way](queue), WAYS[way](queue)]


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_that_does_not_end_keeps_nothing(way):
    """Its loop may be blocked for ever; what it brings afterwards comes once, too."""
    queue, taken, ends = ResultQueue(), threading.Event(), []

    async def turn():
        queue.put(1)
        queue.put(2)
        ends.append(taken.wait(60))
        queue.put(3)

    loop = threading.Thread(target=lambda: asyncio.run(turn()))
    loop.start()
    found = []
    while len(found) < 2:
        found += WAYS[way](queue)
    taken.set()
    while len(found) < 3:
        found += WAYS[way](queue)
    loop.join()
    assert ([1, 2, 3], [True]) == (found, ends)
