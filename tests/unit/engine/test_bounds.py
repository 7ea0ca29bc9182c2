"""Crawls that end by themselves."""

import gevent
import pytest

from crawler import CloseSpider, Request, Spider
from crawler.clock import ManualClock, settle
from crawler.model.records import State
from tests.unit.engine.fakes import FakeFetcher, ListSink, crawl_of, page, shared


class Endless(Spider):
    name = "endless"

    def start(self):
        for number in range(1000):
            yield Request(f"http://h/{number}")

    def parse(self, response):
        yield {"n": 1}
        yield {"n": 2}
        yield {"n": 3}

    def closed(self, reason):
        type(self).ended = reason


@pytest.mark.parametrize(
    ("bound", "status", "items", "pages"),
    [("max_items", 200, 10, 4), ("max_pages", 200, 30, 10), ("max_failures", 404, 0, 0)],
)
def test_a_crawl_ends_when_it_has_enough(bound, status, items, pages):
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: page(status=status))
    sink = ListSink()
    crawl = crawl_of(Endless, shared(fetcher, clock), sink, **{bound: 10})
    crawl.run()
    assert len(sink) == crawl.counts.items
    assert (crawl.counts.items, crawl.counts.pages) == (items, pages)
    assert crawl.spider.ended == bound
    if status == 200:
        assert crawl.outcome() == (State.DONE, "")
        assert crawl.statistics.finish_reason == bound


def test_of_two_reasons_to_end_the_first_counts():
    class Full(Endless):
        def parse(self, response):
            raise CloseSpider("enough")

    clock = ManualClock()
    crawl = crawl_of(Full, shared(FakeFetcher(clock), clock), max_pages=1)
    crawl.run()
    assert crawl.counts.pages == 1
    assert crawl.spider.ended == "enough"


def test_a_crawl_ends_when_its_time_is_up():
    clock = ManualClock()
    fetcher = FakeFetcher(clock, lambda call: None)
    crawl = crawl_of(Endless, shared(fetcher, clock), max_run_s=30.0, timeout_s=3000.0)
    greenlet = gevent.spawn(crawl.run)
    settle()
    clock.advance(29.0)
    settle()
    assert crawl.running
    clock.advance(1.0)
    settle()
    assert greenlet.dead
    assert crawl.spider.ended == "max_run_s"


def test_without_bounds_it_goes_to_its_end():
    clock = ManualClock()
    crawl = crawl_of(Endless, shared(FakeFetcher(clock), clock))
    crawl.run()
    assert crawl.counts.pages == 1000
