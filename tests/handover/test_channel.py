"""The bounded channel between two sides: order, bounds, times, and the end that each of them sees."""

import asyncio
import threading
from itertools import chain

import pytest

from workerpool.handover.channel import Channel, Closed


def test_what_is_sent_before_the_end_is_still_taken():
    """The end comes after all that was sent, and is told to everybody who asks then."""
    channel: Channel[str] = Channel(3)
    for word in "abc":
        channel.put(word)
    channel.end()

    assert ["a", "b", "c"] == [channel.get() for _ in range(3)]
    for _ in range(2):
        with pytest.raises(Closed):
            channel.get()
    with pytest.raises(Closed):
        channel.put("d")
    assert not channel.given_up


def test_neither_side_waits_longer_than_it_said():
    """A full channel and an empty one raise TimeoutError, and keep nothing of whoever gave up."""
    channel: Channel[int] = Channel(1)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            channel.get(0)
    channel.put(1, 0)
    for _ in range(100):
        with pytest.raises(TimeoutError):
            channel.put(2, 0.0001)

    assert [] == channel._waiting
    assert 1 == channel.get(0)


def test_an_error_of_the_senders_that_is_a_timeout_is_raised_as_it_is():
    """What the sender failed with is not taken for the reader's own time."""
    channel: Channel[int] = Channel(1)
    error = TimeoutError("the sender's")
    channel.fail(error)

    with pytest.raises(TimeoutError) as caught:
        channel.get(10)
    assert error is caught.value


def test_closing_wakes_all_who_wait_and_drops_what_is_under_way():
    """Both sides, threads and tasks, wake by Closed."""
    full: Channel[int] = Channel(1)
    full.put(1)
    ended: list[str] = []

    def send() -> None:
        with pytest.raises(Closed):
            full.put(2)
        ended.append("thread")

    async def send_on_a_loop() -> None:
        sender = asyncio.create_task(full.aput(3))
        while len(full._waiting) < 2:  # both wait
            await asyncio.sleep(0.001)
        full.close()
        with pytest.raises(Closed):
            await sender
        ended.append("task")

    thread = threading.Thread(target=send)
    thread.start()
    asyncio.run(send_on_a_loop())
    thread.join()

    assert {"thread", "task"} == {*ended}
    assert full.given_up
    with pytest.raises(Closed):
        full.get()


def test_many_threads_take_each_item_once():
    """What four send, four others take, none twice; each sender's in order."""
    channel: Channel[tuple[int, int]] = Channel(4)
    taken: list[list[tuple[int, int]]] = [[] for _ in range(4)]

    def send(number: int) -> None:
        for index in range(500):
            channel.put((number, index))

    def take(number: int) -> None:
        try:
            while True:
                taken[number].append(channel.get())
        except Closed:
            return

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    takers = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in (*senders, *takers):
        thread.start()
    for thread in senders:
        thread.join()
    channel.end()
    for thread in takers:
        thread.join()

    assert sorted((number, index) for number in range(4) for index in range(500)) == sorted(chain.from_iterable(taken))
    for one in taken:
        for number in range(4):
            mine = [index for sender, index in one if sender == number]
            assert sorted(mine) == mine
