"""The statistics of a crawl: what is counted, quantiles, the rate of late."""

import math
import random

import pytest

from crawler import Request, Spider
from crawler.clock import ManualClock
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.latency import Latency
from tests.site import Site
from tests.site.crawling import crawled


class Everything(Spider):
    name = "everything"

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")


def test_a_quantile_is_off_by_a_few_per_cent_at_most():
    draw = random.Random(5)
    seconds = sorted(draw.lognormvariate(-3, 1.5) for _ in range(5000))
    latency = Latency()
    for each in seconds:
        latency.add(each)
    for share in (0.1, 0.5, 0.9, 0.99):
        exact = seconds[math.ceil(share * len(seconds)) - 1]
        assert latency.quantile(share) == pytest.approx(exact, rel=0.05)
    assert latency.shown()["max"] == round(seconds[-1], 4)


def test_durations_beyond_the_buckets_are_counted_in_the_outermost():
    latency = Latency()
    for seconds in (0.0, 1e-9, 1e9):
        latency.add(seconds)
    assert latency.quantile(0.5) <= 1e-4 * 1.1
    assert latency.quantile(1.0) > 3000
    assert latency.most_s == 1e9


def test_without_an_answer_there_is_no_latency():
    assert Latency().shown() == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}


def test_the_rate_is_that_of_the_last_seconds():
    clock = ManualClock()
    counters = Counters(clock)
    timing = counters.timing
    timing.begin()
    for pages in [0] * 100 + [5] * 15:
        clock.advance(1.0)
        counters.pages += pages
        counters.settled(FetchAnswer(200, [], b"", 0.1))
    assert timing.pages_per_s(counters.pages) == pytest.approx(5.0, rel=0.01)
    clock.advance(60.0)
    assert timing.pages_per_s(counters.pages) == 0.0
    timing.end()
    clock.advance(60.0)
    assert timing.pages_per_s(counters.pages) == pytest.approx(75 / 175)


def test_errors_are_requests_without_status_and_latency():
    counters = Counters(ManualClock())
    counters.timing.begin()
    counters.settled(FetchError("timeout", seconds=30.0))
    counters.settled(FetchAnswer(404, [], b"gone", 0.2))
    shown = counters.statistics("task", "spider")
    assert (shown.requests, shown.statuses, shown.bytes_expanded) == (2, {404: 1}, 4)
    assert shown.latency_s["max"] == 0.2


def test_a_crawl_tells_what_it_sent_and_received_and_how_it_ended():
    with Site() as site:
        paths = ["/page/a", "/redirect?n=1", "/flaky?fails=1", "/status/404", "/page/a"]
        asked = [Request(site.url(path)) for path in paths]
        crawl, _ = crawled(type("Asking", (Everything,), {"start": lambda self: asked}))
        found = crawl.statistics
        hits = len(site.hits)
    assert found.task == found.spider == "everything"
    assert found.requests == hits == 6
    assert found.statuses == {200: 3, 302: 1, 503: 1, 404: 1}
    assert (found.retries, found.redirects) == (1, 1)
    assert (found.pages, found.items) == (3, 3)
    assert found.failures == {"HTTP 404": 1}
    assert found.filtered == {"duplicate": 1}
    assert found.finish_reason == "finished"
    assert found.pending == 0
    ended = found.pages + sum(found.failures.values()) + sum(found.filtered.values())
    assert found.discovered == ended == 5
    assert (found.memory["known"], found.memory["waiting"], found.memory["on_disk"]) == (5, 0, 0)
    assert found.memory["known_bytes"] > 0
    assert 0 < found.latency_s["p50"] <= found.latency_s["max"]
    assert found.began_ns < found.ended_ns
    assert found.pages_per_s == pytest.approx(3 / found.seconds)


def test_a_crawl_that_failed_says_why_it_finished():
    with Site() as site:
        crawl, _ = crawled(Everything, site.url("/status/404"))
    assert crawl.statistics.finish_reason.startswith("no page could be fetched: HTTP 404")
    assert crawl.statistics.to_json()["statuses"] == {"404": 1}
