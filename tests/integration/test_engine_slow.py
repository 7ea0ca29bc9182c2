"""Callbacks that compute for long are reported, with the line of the spider and the page."""

import inspect
import time

import pytest

from crawler import Request, Spider
from tests.site import Site
from tests.site.crawling import ListSink, run, running_engine, spec

MESSAGE = "a callback computes for long, and all other crawls wait for it"


def compute(seconds):
    """Keep the thread busy, in a function that is not the callback itself."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        sum(range(1000))


class Busy(Spider):
    name = "busy"
    seconds = 1.0

    def parse(self, response):
        yield Request(response.urljoin("/page/2"), self.parse_second)

    def parse_second(self, response):
        compute(self.seconds)
        yield {"url": response.url}


class Many(Busy):
    """Each piece is short, but there are many, and none gives others a turn by itself."""

    name = "many"

    def parse(self, response):
        for number in range(40):
            compute(0.03)
            yield Request(response.urljoin(f"/page/{number}"), self.parse_second)

    def parse_second(self, response):
        compute(0.03)


class BusyStart(Busy):
    name = "busy-start"

    def start(self):
        compute(self.seconds)
        return ()


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


def crawled(spider, site, **settings):
    with running_engine(spider) as engine:
        crawl = engine.crawl(spec(spider, site.url("/page/1"), settings=settings), ListSink())
        run(crawl)
        return crawl.statistics


def told(caplog):
    return [each for each in caplog.records if each.getMessage() == MESSAGE]


def test_it_is_told_once_with_spider_callback_line_and_page(site, caplog):
    statistics = crawled(Busy, site)
    [record] = told(caplog)
    lines, first = inspect.getsourcelines(compute)
    file, line = record.fields["at"].split(":")
    assert record.levelname == "WARNING"
    assert (record.fields["task"], record.fields["spider"]) == ("busy", "busy")
    assert record.fields["callback"] == "parse_second"
    assert record.fields["url"] == site.url("/page/2")
    assert file == "test_engine_slow.py"
    assert first < int(line) < first + len(lines)
    assert record.fields["seconds"] >= 0.5
    assert statistics.slow_callbacks == 1


def test_a_start_that_computes_for_long_is_told_too(site, caplog):
    assert crawled(BusyStart, site).slow_callbacks == 1
    assert told(caplog)[0].fields["callback"] == "start"


def test_the_limit_is_a_setting(site, caplog):
    assert crawled(Busy, site, slow_callback_s=5.0).slow_callbacks == 0
    assert crawled(Busy, site, slow_callback_s=0).slow_callbacks == 0
    assert told(caplog) == []


@pytest.mark.faults  # where nothing else runs: one that has to wait for its turn is not short
def test_many_short_callbacks_are_not_one_long_one(site, caplog):
    assert crawled(Many, site).slow_callbacks == 0
    assert told(caplog) == []


def test_of_many_in_a_row_each_is_counted_and_one_is_told(site, caplog):
    class Always(Busy):
        name = "always"
        seconds = 0.4

        def parse(self, response):
            yield from (Request(response.urljoin(f"/page/{n}"), self.parse_second) for n in "abc")

    assert crawled(Always, site, slow_callback_s=0.2).slow_callbacks == 3
    assert len(told(caplog)) == 1
