"""fetch_many and map: who reads, who holds what, and how it ends."""

import asyncio
import gc
import threading
import weakref
from time import monotonic

import pytest

from workerpool import (
    DeadlineExceeded,
    PoolClosed,
    QueueFull,
    Request,
    Response,
    Timeout,
    WorkerPool,
    WorkerPoolError,
    WrongThread,
)

PATIENCE = 60


def test_several_threads_read_the_same_results(shared_site):
    """Each result goes to one of them, and all come to the end."""
    with WorkerPool(workers=2) as pool:
        for _ in range(10):
            results = pool.fetch_many(shared_site.url_for(f"/fast/{n}") for n in range(60))
            found = []

            def read(results=results, found=found):
                found.extend(result.index for result in results)

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert not any(thread.is_alive() for thread in threads)
            assert list(range(60)) == sorted(found)


def test_results_that_are_closed_under_their_reader_say_so(site):
    """The reader in the other thread is neither left waiting nor told that all was there."""
    caught = []

    def read():
        try:
            next(results)
        except BaseException as exc:
            caught.append(exc)

    with WorkerPool(workers=1) as pool:
        results = pool.fetch_many([site.url_for("/hold/1")])
        reader = threading.Thread(target=read)
        reader.start()
        site.wait_in_flight(1)
        results.close()
        reader.join(PATIENCE)
        assert [WorkerPoolError] == [type(exc) for exc in caught]


def read_until_closed(results):
    with pytest.raises(WorkerPoolError):
        next(results)


def test_results_come_from_a_loop_that_is_blocked(site):
    """A function that does not give the loop back keeps no result of that turn from its reader, nor does a shutdown."""
    done, blocked = threading.Event(), threading.Event()
    pool = WorkerPool(workers=1, slow_callback=None)
    results = pool.fetch_many([site.url_for("/fast/1"), site.url_for("/hold/1")])

    async def block(session):
        while not pool.stats().succeeded:
            await asyncio.sleep(0)
        blocked.set()
        done.wait(120)

    job = pool.submit(block)
    first = next(results)
    assert (0, None) == (first.index, first.error)
    assert blocked.wait(60)
    pool.shutdown(timeout=0)
    assert [1] == [result.index for result in results if isinstance(result.error, PoolClosed)]
    assert not done.is_set()
    done.set()
    with pytest.raises(PoolClosed):
        job.result(60)
    pool.shutdown(timeout=60)


def test_results_that_are_garbage_are_given_up_without_a_lock(site):
    """A collection on the thread that is putting a result in finds nothing to wait for."""
    with WorkerPool(workers=1) as pool:
        results = pool.fetch_many([site.url_for("/hold/1"), site.url_for("/hold/2")])
        reader = threading.Thread(target=read_until_closed, args=(results,))
        reader.start()
        site.wait_in_flight(2)
        queue = results._queue._queue
        with queue._sync_mutex:  # as amid a put
            results._give_up()
        results.close()
        reader.join(PATIENCE)
        assert pool.drain(PATIENCE)
        assert 2 == pool.stats().cancelled


class Value:
    pass


async def make(session, _n):
    return Value()


def test_map_keeps_no_result_while_the_next_is_awaited():
    """What the reader lets go of is gone."""
    with WorkerPool(workers=1) as pool:
        for value in pool.map(make, range(5)):
            seen = weakref.ref(value)
            del value
            assert pool.drain(PATIENCE)
            gc.collect()
            assert seen() is None


@pytest.mark.parametrize("way", ["for", "async for"])
def test_fetch_many_keeps_no_result_while_the_next_is_awaited(shared_site, way):
    """A body of max_body more per loop would be held else."""
    with WorkerPool(workers=1) as pool:
        urls = [shared_site.url_for(f"/fast/{n}") for n in range(5)]

        def check(seen):
            assert pool.drain(PATIENCE)
            end = monotonic() + PATIENCE
            while seen() is not None:  # without the GIL the worker may be within what has told
                assert monotonic() < end
                gc.collect()

        async def read():
            async for result in pool.fetch_many(urls, buffersize=1):
                seen = Weak(result)
                del result
                check(seen)

        class Weak:
            """Results have slots and no weak references; their responses' headers do for it."""

            def __init__(self, result):
                self._id = id(result.unwrap())

            def __call__(self):
                alive = [each for each in gc.get_objects() if type(each) is Response and id(each) == self._id]
                return alive[0] if alive else None

        if way == "for":
            for result in pool.fetch_many(urls, buffersize=1):
                seen = Weak(result)
                del result
                check(seen)
        else:
            asyncio.run(read())


@pytest.mark.parametrize("given", ["http://127.0.0.1/", b"ab", Request("http://127.0.0.1/"), None, 5], ids=repr)
def test_one_url_is_not_many(given, capsys):
    """The letters of a URL are no URLs; and nothing is printed of an object that was never made."""
    with WorkerPool(workers=1) as pool, pytest.raises(TypeError, match="fetch_many takes an iterable of URLs"):
        pool.fetch_many(given)
    gc.collect()
    assert "" == capsys.readouterr().err


def test_options_go_with_each_url(site):
    """A URL is fetched with the keywords of fetch_many, a Request with its own."""
    with WorkerPool(workers=1) as pool:
        given = [site.url_for("/echo"), Request(site.url_for("/echo"), headers={"X-A": "own"})]
        results = list(pool.fetch_many(given, ordered=True, headers={"X-A": "all"}, meta=7))
    assert ["all", "own"] == [result.unwrap().json()["headers"]["X-A"] for result in results]
    assert [7, None] == [result.meta for result in results]


def test_async_for_waits_where_others_hold_the_queue_full(site):
    """A queue full of others' work ends no loop: the reader waits until it has room, and blocks no loop."""

    async def read(pool):
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        release = asyncio.get_running_loop().run_in_executor(None, site.release)
        found = [result.unwrap().ok async for result in pool.fetch_many([site.url_for(f"/fast/{n}") for n in range(5)])]
        await release
        counting.cancel()
        return found, turns

    with WorkerPool(workers=1, connections=1, queue=2, timeout=PATIENCE) as pool:
        jobs = [pool.submit(site.url_for("/hold/1"))]
        site.wait_in_flight(1)
        jobs += [pool.submit(site.url_for("/fast/1")) for _ in range(2)]
        found, turns = asyncio.run(read(pool))
        assert [True] * 5 == found
        assert turns > 0
        assert all(job.result(PATIENCE).ok for job in jobs)


def test_for_waits_where_others_hold_the_queue_full(site):
    """As long as it takes, the lane's timeout or not."""
    with WorkerPool(workers=1, connections=1, queue=1, timeout=4) as pool:  # enough for each, wherever it is slow
        jobs = [pool.submit(site.url_for("/hold/1"), timeout=PATIENCE)]
        site.wait_in_flight(1)
        jobs.append(pool.submit(site.url_for("/fast/1")))
        timer = threading.Timer(4.5, site.release)
        timer.start()
        assert [True] * 3 == [r.unwrap().ok for r in pool.fetch_many([site.url_for(f"/fast/{n}") for n in range(3)])]
        timer.join()
        assert all(job.result(PATIENCE).ok for job in jobs)


def _read(results, way):
    """Return the results that come, and the name of the error that ends them."""
    found = []

    async def on_a_loop():
        async for result in results:
            found.append(result)  # noqa: PERF401  what came before an error counts

    try:
        if way == "async for":
            asyncio.run(on_a_loop())
        else:
            found.extend(results)
    except WorkerPoolError as exc:
        return found, type(exc).__name__
    return found, None


@pytest.fixture
def full(site):
    """A pool whose queue is full of others' work."""
    with WorkerPool(workers=1, connections=1, queue=1) as pool:
        pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        pool.submit(site.url_for("/hold/2"))
        yield pool
        site.release()


@pytest.mark.parametrize("way", ["for", "async for"])
def test_the_time_in_the_queue_counts_where_there_is_no_room(way, full, site):
    """Each input gets its error in time, though others hold the queue full for ever."""
    urls = [site.url_for(f"/fast/{number}") for number in range(3)]
    found, ended = _read(full.fetch_many(urls, timeout=Timeout(queue=0.05)), way)
    assert ([0, 1, 2], None) == ([result.index for result in found], ended)
    assert all(isinstance(result.error, DeadlineExceeded) and "queued" == result.error.stage for result in found)
    assert (1, 1) == (full.stats().in_flight, full.stats().queued)


@pytest.mark.parametrize("way", ["for", "async for"])
@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_waiting_for_room_ends_with_results_and_pool(way, end, full, site):
    """Another thread that closes either is not waited out."""
    pulled, outcome = threading.Event(), []

    def inputs():
        pulled.set()
        yield site.url_for("/fast/1")

    results = full.fetch_many(inputs())
    reader = threading.Thread(target=lambda: outcome.append(_read(results, way)))
    reader.start()
    assert pulled.wait(PATIENCE)
    if end == "close":
        results.close()
    else:
        full.shutdown(wait=False)
    reader.join(PATIENCE)
    assert [([], "WorkerPoolError" if end == "close" else "PoolClosed")] == outcome


@pytest.mark.parametrize("way", ["for", "async for"])
@pytest.mark.parametrize("has_room", [True, False])
def test_closing_amid_a_post_is_no_end_of_the_inputs(way, has_room, site):
    """At the moment at which an input is in nobody's hands: the reader is told, and nothing goes on behind it."""
    with WorkerPool(workers=1) as pool:
        results = pool.fetch_many([site.url_for("/hold/1")])
        post = results._post

        def post_amid_a_close(entry, **options):
            closer = threading.Thread(target=results.close)
            closer.start()
            closer.join(PATIENCE)
            if not has_room:
                raise QueueFull("no room")
            post(entry, **options)

        results._post = post_amid_a_close
        assert ([], "WorkerPoolError") == _read(results, way)
        assert pool.drain(PATIENCE)


def test_reading_is_refused_on_a_workers_own_thread_where_there_is_no_room(full, site):
    """The loop would wait for itself."""

    async def read(session):
        return next(full.fetch_many([site.url_for("/fast/1")]))

    with WorkerPool(workers=1) as other, pytest.raises(WrongThread):
        other.submit(read).result(PATIENCE)
