"""What can be seen of a pool at work: its numbers, its metrics, its log and its traces."""

import logging
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from workerpool import ConnectError, DeadlineExceeded, Lane, Retry, WorkerPool, get_pool
from workerpool.adapters.prometheus import PoolCollector
from workerpool.stats import BOUNDS, Durations
from workerpool.worker.tally import Stopwatch

QUICK = Retry(attempts=3, wait_initial=0.001, wait_jitter=0.0)


def measured(*seconds):
    watch = Stopwatch()
    for each in seconds:
        watch.note(each)
    return watch.read()


# ---- durations


def test_durations_are_counted_in_their_classes():
    durations = measured(0.0005, 0.001, 0.0011, 3.0, 100.0)
    assert durations.counts[:2] == (2, 1)
    assert durations.counts[-1] == 1
    assert durations.count == 5
    assert durations.mean == pytest.approx(103.0026 / 5)


def test_a_quantile_lies_within_the_class_of_its_value():
    durations = measured(*[0.002] * 90, *[0.7] * 10)
    assert 0.001 < durations.quantile(0.5) <= 0.0025
    assert 0.5 < durations.quantile(0.95) <= 1.0
    assert durations.quantile(1.0) == 1.0


def test_quantiles_at_the_edges():
    assert Durations().quantile(0.5) == 0.0
    assert Durations().mean == 0.0
    assert measured(100.0).quantile(0.5) == float("inf")
    assert measured(0.03).quantile(0.0) == pytest.approx(0.025)


def test_sums_of_durations():
    both = Durations.sum((measured(0.002), measured(0.002, 4.0)))
    assert both.count == 3
    assert both.total == pytest.approx(4.004)
    assert Durations.sum(()) == Durations()


def test_stats_tell_how_long_jobs_took(pool, site):
    for n in range(20):
        pool.get(site.url_for(f"/fast/{n}"))
    pool.get(site.url_for("/slow/1?delay=0.3"))
    pool.drain()
    durations = pool.stats().lane("default").durations
    assert durations.count == 21
    assert durations.total >= 0.3
    assert sum(durations.counts[BOUNDS.index(0.5) :]) >= 1


def test_what_is_cancelled_or_fails_is_measured_too(pool, site, free_port):
    job = pool.submit(site.url_for("/hold/1"))
    site.wait_in_flight(1)
    job.cancel()
    with pytest.raises(ConnectError):
        pool.get(f"http://127.0.0.1:{free_port}/", retry=None)
    pool.drain()
    assert pool.stats().lane("default").durations.count == 2


def test_the_numbers_of_many_sessions_stay_one_entry(pool, site):
    for _ in range(5):
        with pool.session() as browser:
            browser.get(site.url_for("/fast/1"))
    assert len(pool.stats().lanes) == 2
    closed = pool.stats().lane("session (closed)")
    assert (closed.succeeded, closed.attempts, closed.durations.count) == (5, 5, 5)
    assert pool.stats().succeeded == 5


def test_a_session_may_be_closed_on_a_workers_thread(pool, site):
    browser = pool.session()

    async def close_it(session):
        browser.close()

    pool.submit(close_it).result()
    while "session-1" in {lane.name for lane in pool.stats().lanes}:  # its numbers are final when it is closed
        time.sleep(0.001)
    assert "session (closed)" == pool.stats().lanes[-1].name


# ---- Prometheus


def scraped(registry):
    """Return {(name, labels without the pool's): value}."""
    return {
        (sample.name, *(value for label, value in sorted(sample.labels.items()) if label != "pool")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


@pytest.fixture
def registry():
    return CollectorRegistry()


def test_a_scrape_tells_of_lanes_and_workers(registry, site, free_port):
    with WorkerPool(workers=2, lanes=[Lane("bulk", retry=QUICK)], name="scraped") as pool:
        registry.register(PoolCollector(pool))
        for n in range(10):
            pool.get(site.url_for(f"/fast/{n}"))
        pool.lane("bulk").get(site.url_for("/flaky/1"))
        with pytest.raises(ConnectError):
            pool.get(f"http://127.0.0.1:{free_port}/", retry=None)
        held = pool.submit(site.url_for("/hold/1"))
        site.wait_in_flight(1)
        seen = scraped(registry)
        held.cancel()
        pool.drain()
        later = scraped(registry)
    assert seen["workerpool_jobs_total", "default", "succeeded"] == 10
    assert seen["workerpool_jobs_total", "default", "failed"] == 1
    assert seen["workerpool_jobs_total", "bulk", "succeeded"] == 1
    assert seen["workerpool_attempts_total", "bulk"] == 2
    assert seen["workerpool_jobs_in_flight", "default"] == 1
    assert seen["workerpool_jobs_queued", "default"] == 0
    assert seen["workerpool_job_duration_seconds_count", "default"] == 11
    assert seen["workerpool_job_duration_seconds_bucket", "default", "+Inf"] == 11
    assert seen["workerpool_worker_up", "scraped-0"] == seen["workerpool_worker_up", "scraped-1"] == 1
    assert seen["workerpool_worker_losses_total", "scraped-0"] == 0
    assert later["workerpool_jobs_total", "default", "cancelled"] == 1
    assert later["workerpool_jobs_in_flight", "default"] == 0


def test_sessions_add_no_series(registry, pool, site):
    registry.register(PoolCollector(pool))
    counts, series = [], []
    for _ in range(3):
        with pool.session() as browser:
            browser.get(site.url_for("/fast/1"))
            pool.drain()
            seen = scraped(registry)
            counts.append(seen["workerpool_jobs_total", "session", "succeeded"])
            series.append(len(seen))
    counts.append(scraped(registry)["workerpool_jobs_total", "session", "succeeded"])
    assert counts == [1, 2, 3, 3]
    assert len(set(series)) == 1


def test_a_second_collector_of_the_same_metrics_is_refused(registry, pool):
    registry.register(PoolCollector(pool))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(PoolCollector())


def test_several_pools_are_told_apart_by_their_names(registry):
    with WorkerPool(workers=1, name="one") as one, WorkerPool(workers=1, name="two") as two:
        registry.register(PoolCollector(one, two))
        text = generate_latest(registry).decode()
    assert 'pool="one"' in text
    assert 'pool="two"' in text
    assert text.count("# TYPE workerpool_jobs_total ") == 1


def test_a_pool_by_name_is_not_made_by_a_scrape(registry, site):
    registry.register(PoolCollector("by name"))
    assert scraped(registry) == {}
    with get_pool("by name") as pool:
        pool.get(site.url_for("/fast/1"))
        pool.drain()
        assert scraped(registry)["workerpool_jobs_total", "default", "succeeded"] == 1


def test_a_closed_pool_does_not_fail_a_scrape(registry, site):
    with WorkerPool(workers=1) as pool:
        registry.register(PoolCollector(pool))
        pool.get(site.url_for("/fast/1"))
    seen = scraped(registry)
    assert seen["workerpool_jobs_total", "default", "succeeded"] == 1
    assert seen["workerpool_worker_up", "workerpool-0"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_is_not_told_of_its_parents_pool(registry, pool):
    registry.register(PoolCollector(pool))
    if (child := os.fork()) == 0:
        os._exit(0 if scraped(registry) == {} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_something_else_than_a_pool_is_refused():
    with pytest.raises(TypeError, match="pools or names of pools, not int"):
        PoolCollector(3)


def test_without_its_extra_the_collector_names_the_cure():
    code = "import sys; sys.modules['prometheus_client'] = None; import workerpool.adapters.prometheus"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'aiohttp-workerpool[prometheus]'" in said.stderr


# ---- the log


def test_each_try_is_logged_with_its_facts(pool, site, caplog):
    caplog.set_level(logging.DEBUG, "workerpool")
    pool.get(site.url_for("/flaky/1?token=hidden"), retry=QUICK)
    retried, done = [record for record in caplog.records if record.name == "workerpool.attempts"]
    assert (retried.levelname, done.levelname) == ("INFO", "DEBUG")
    assert (retried.attempt, done.attempt) == (1, 2)
    assert done.url == site.url_for("/flaky/1?token=***")
    assert (done.method, done.lane) == ("GET", "default")
    assert done.worker in {"tested-0", "tested-1"}
    assert done.elapsed > 0
    assert re.fullmatch(r"GET \S+: 503, next try in 0\.00 s \(attempt 1, .*, tested-\d\)", retried.getMessage())
    assert "hidden" not in caplog.text


def test_a_failed_and_a_stopped_try_are_logged(pool, site, free_port, caplog):
    caplog.set_level(logging.DEBUG, "workerpool")
    with pytest.raises(ConnectError):
        pool.get(f"http://127.0.0.1:{free_port}/", retry=None)
    with pytest.raises(DeadlineExceeded):
        pool.get(site.url_for("/hold/1"), timeout=0.2)
    pool.drain()
    failed, stopped = [record.getMessage() for record in caplog.records if record.name == "workerpool.attempts"]
    assert ": ConnectError (attempt 1" in failed
    assert ": stopped in stage headers (attempt 1" in stopped


def test_the_log_is_silent_where_nobody_asked(pool, site, caplog):
    caplog.set_level(logging.INFO, "workerpool")
    pool.get(site.url_for("/fast/1"))
    assert caplog.records == []


# ---- traces


@pytest.fixture
def tracing():
    """A tracer of one's own, and the spans that ended."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider, spans
    provider.shutdown()


@contextmanager
def instrumented(instrumentor, provider):
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        instrumentor.uninstrument()


def parents_of_clients(spans):
    """Return for each client's span the name of its parent."""
    ended = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in ended}
    return [names.get(span.parent and span.parent.span_id) for span in ended if span.kind.name == "CLIENT"]


def ask_in_spans(pool, site, provider):
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("blocking"):
        seen = pool.get(site.url_for("/echo")).json()["headers"]
    with tracer.start_as_current_span("job"):
        job = pool.submit(site.url_for("/echo"))
    job.result()
    with tracer.start_as_current_span("many"):
        results = pool.fetch_many([site.url_for("/fast/1")])
        assert all(result.ok for result in results)
    return seen


def test_a_lanes_tracer_sees_the_submitters_span(site, tracing):
    from opentelemetry.instrumentation.aiohttp_client import create_trace_config

    provider, spans = tracing
    with WorkerPool(workers=2, trace_configs=[create_trace_config(tracer_provider=provider)]) as pool:
        seen = ask_in_spans(pool, site, provider)
    assert sorted(parents_of_clients(spans)) == ["blocking", "job", "many"]
    assert "Traceparent" in seen or "traceparent" in seen


def test_instrumented_sessions_see_the_submitters_span(site, tracing):
    """The instrumentation patches aiohttp's class; no lane knows of it."""
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    provider, spans = tracing
    with instrumented(AioHttpClientInstrumentor(), provider), WorkerPool(workers=2) as pool:
        seen = ask_in_spans(pool, site, provider)
    assert sorted(parents_of_clients(spans)) == ["blocking", "job", "many"]
    assert "Traceparent" in seen or "traceparent" in seen


def test_functions_see_the_submitters_span(pool, tracing):
    from opentelemetry import trace

    provider, _ = tracing

    async def current(session):
        return trace.get_current_span().get_span_context().span_id

    with provider.get_tracer("tests").start_as_current_span("mine") as span:
        assert pool.submit(current).result() == span.get_span_context().span_id


def test_instrumented_requests_go_through_the_adapter(pool, site, tracing):
    import requests
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    from workerpool.adapters.requests import PoolAdapter

    provider, spans = tracing
    with instrumented(RequestsInstrumentor(), provider), requests.Session() as session:
        session.mount("http://", PoolAdapter(pool))
        seen = session.get(site.url_for("/echo")).json()["headers"]
    (span,) = spans.get_finished_spans()
    assert span.attributes["http.status_code"] == 200
    assert f"{span.context.trace_id:032x}" in {name.lower(): value for name, value in seen.items()}["traceparent"]
