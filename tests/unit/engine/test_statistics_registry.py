"""The statistics of all crawls of an engine, and the lines that tell of them."""

import gevent
import pytest
from gevent.event import Event

from crawler import Spider
from crawler.clock import ManualClock, settle
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.registry import SLICE, StatisticsRegistry
from crawler.engine.stats.totals import ENDED
from crawler.errors import NotFound
from tests.site import Site
from tests.site.crawling import ListSink, Titles, run, running_engine, spec
from tests.unit.engine.fakes import FakeFetcher, crawl_of, shared
from tests.waiting import PATIENCE_S, eventually


class Counting(Spider):
    name = "counting"

    def parse(self, response):
        yield {"url": response.url}
        raise KeyError("price")


def test_an_engine_sums_up_crawls_that_run_and_that_have_ended():
    with Site() as site, running_engine(Counting) as engine:
        for _ in range(2):
            task = spec(Counting, site.url("/page/a"), site.url("/status/404"))
            run(engine.crawl(task, ListSink()))
        task = spec(Counting, site.url("/page/b"), site.url("/slow?s=20"))
        third = engine.crawl(task, ListSink())
        never = engine.crawl(spec(Titles, site.url("/page/c")), ListSink())
        greenlet = gevent.spawn(third.run)
        statistics = engine.statistics
        eventually(lambda: third.counts.failures and len(statistics.all()) == 3)
        totals = statistics.totals()
        sums = totals.sums
        assert (sums["pages"], sums["items"], sums["requests"]) == (3, 3, 5)
        assert totals.failures == {"HTTP 404": 2, "callback raised KeyError": 3}
        assert statistics.of("counting").finish_reason == ""
        assert not never.running
        third.stop()
        greenlet.join(PATIENCE_S)
        eventually(lambda: statistics.all()[0].finish_reason == "stopped")
        assert statistics.totals().sums["pages"] == 3
        with pytest.raises(NotFound, match="no statistics of task 'titles' here"):
            statistics.of("titles")


def test_of_many_crawls_that_have_ended_the_last_are_remembered_and_all_are_counted():
    with Site() as site, running_engine(Counting) as engine:
        for _ in range(ENDED + 5):
            run(engine.crawl(spec(Titles, site.url("/page/a")), ListSink()))
        eventually(lambda: len(engine.statistics.all()) == ENDED)
        assert engine.statistics.totals().sums["pages"] == ENDED + 5


def test_a_crawl_that_ends_while_all_are_summed_up_is_counted_once():
    clock = ManualClock()
    statistics, parts = StatisticsRegistry(clock), shared(FakeFetcher(clock), clock)
    crawls = [crawl_of(Counting, parts) for _ in range(2 * SLICE)]
    for crawl in crawls:
        statistics.watch(crawl)
        crawl.counters.timing.begin()
        crawl.counters.discovered, crawl.counters.pages = 2, 1
        crawl.counters.filter("duplicate", "http://h/")
    adding = gevent.spawn(statistics.totals)
    gevent.sleep(0)  # it has added the first slice, and others have their turn
    assert not adding.ready()
    for crawl in (crawls[0], crawls[-1]):
        crawl.ended.set()
    eventually(lambda: len(statistics.all()) == len(crawls) and statistics.all()[-1])
    assert (
        adding.get(timeout=PATIENCE_S).sums["pages"]
        == statistics.totals().sums["pages"]
        == len(crawls)
    )
    assert statistics.totals().filtered == {"duplicate": len(crawls)}


def test_a_line_tells_every_now_and_then_how_a_crawl_stands(caplog):
    caplog.set_level("INFO")
    clock = ManualClock()
    statistics, kept = StatisticsRegistry(clock), []
    parts = shared(FakeFetcher(clock), clock)
    for every_s in (60.0, 0.0):
        crawl = crawl_of(Counting, parts, log_stats_s=every_s)
        statistics.watch(crawl)
        crawl.counters.timing.begin()
        kept.append(crawl)
    for _ in range(150):
        clock.advance(1.0)
        statistics.log_due()
    told = [each.fields for each in caplog.records if each.getMessage() == "crawl goes on"]
    assert [line["seconds"] for line in told] == [60.0, 120.0]
    assert (told[0]["task"], told[0]["spider"], told[0]["pages"]) == ("task", "counting", 0)


class Counted:
    """A crawl that has counted some pages."""

    def __init__(self, registry, clock, name, pages):
        self.name, self.spider, self.ended = name, Counting(), Event()
        self.counters = Counters(clock)
        self.counters.pages = pages
        registry.watch(self)
        self.counters.timing.begin()

    @property
    def statistics(self):
        return self.counters.statistics(self.name, "counting")

    def end(self):
        self.counters.timing.end()
        self.ended.set()
        settle()


def test_the_shards_of_a_task_on_one_worker_are_shown_together_and_one_by_one():
    clock = ManualClock()
    registry = StatisticsRegistry(clock)
    pages = {"books": 1, "books~2": 20, "books~11": 300, "books~x": 4000, "bookshop": 4000}
    crawls = {name: Counted(registry, clock, name, count) for name, count in pages.items()}
    told = registry.of_task("books")
    assert (told.task, told.pages) == ("books", 321)
    assert registry.of_task("books~2").pages == registry.of("books~2").pages == 20
    assert sorted(each.task for each in registry.all()) == sorted(pages)
    crawls["books"].end()
    assert registry.of_task("books").task == "books", "its head runs elsewhere"
    assert registry.of_task("books").pages == 320, "what runs"
    clock.advance(1.0)
    crawls["books~2"].end()
    crawls["books~11"].end()
    assert registry.of_task("books").pages == 321, "nothing runs: the last ones"
    with pytest.raises(NotFound, match="no statistics of task 'travel' here"):
        registry.of_task("travel")


def test_a_shard_of_an_earlier_crawl_of_the_task_is_not_added():
    clock = ManualClock()
    registry = StatisticsRegistry(clock)
    for name, pages in {"books": 7, "books~1": 70}.items():
        Counted(registry, clock, name, pages).end()
    clock.advance(1.0)
    Counted(registry, clock, "books", 5).end()
    assert registry.of_task("books").pages == 5
    assert registry.of_task("books~1").pages == 70
