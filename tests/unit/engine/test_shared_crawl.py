"""Several shards crawl one task: on a fake network, each killed at any moment."""

from collections import Counter

import gevent
import pytest

from crawler.clock import ManualClock, settle
from crawler.engine.crawl import checkpoints
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.resume import Kept
from crawler.engine.frontier.memory_shared_store import MemoryTask
from crawler.model.records import State
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, page, shared
from tests.unit.engine.test_checkpoints import ALL, PAGES, Dead, File, Numbers


class Shard:
    """What outlives the runs of one shard: its store, its file of items, and what it asked for."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.store = world.task.shard(number)
        self.file = File()
        self.asked = []
        self.crawl = self.greenlet = None

    def begin(self, **settings):
        """A run in its greenlet."""
        world = self.world
        spider = world.spider_class()
        given = {"delay_s": 0.0, "robots": False, "throttle_s": 0.0, **world.settings, **settings}
        spider.settings = CrawlSettings(**given)
        fetcher = FakeFetcher(world.clock, world.answer_of, world.delay_s)
        self.asked.append(fetcher.sent)
        kept = Kept(
            self.store,
            self.store.open(),
            remembers_end=True,
            remembers_failure=True,
            drops_missing=True,
            shard=self.number,
        )
        name = f"task~{self.number}" if self.number else "task"
        self.crawl = Crawl(name, spider, self.file, shared(fetcher, world.clock), kept)
        self.greenlet = gevent.spawn(self.crawl.run)
        settle()
        return self.crawl

    def kill(self):
        """End the run as a kill does: nothing more is kept."""
        if self.greenlet is None or self.greenlet.dead:
            return
        made = self.crawl._checkpoints
        made._kept, made._store = Kept(Dead(), None), Dead()
        if made._under_way is not None:
            made._under_way.kill()
        self.greenlet.kill()

    def urls(self):
        return [call.url for run in self.asked for _, call in run]


class World:
    """A task and its shards."""

    def __init__(
        self, shards=3, spider_class=Numbers, answer_of=lambda call: page(), delay_s=0.1, **settings
    ):
        self.clock = ManualClock()
        self.task = MemoryTask(self.clock)
        self.spider_class, self.answer_of, self.delay_s = spider_class, answer_of, delay_s
        self.settings = {"concurrency": 4, "host_concurrency": 4, **settings}
        self.shards = [Shard(self, number) for number in range(shards)]

    def begin(self):
        for shard in self.shards:
            shard.begin()
        return self

    @property
    def running(self):
        return [each for each in self.shards if each.greenlet and not each.greenlet.dead]

    def until(self, is_enough, step_s=0.05, steps=4000):
        for _ in range(steps):
            if is_enough() or not self.running:
                return
            self.clock.advance(step_s)
            settle()
        raise AssertionError("the crawl did not get there")

    def finish(self, step_s=0.05):
        self.until(lambda: False, step_s)
        for shard in self.shards:
            if shard.greenlet is not None:
                shard.greenlet.get(block=False)
        return self

    def items(self):
        return Counter((item["page"], item["part"]) for shard in self.shards for item in shard.file)

    def urls(self):
        return [url for shard in self.shards for url in shard.urls()]

    def sum(self, of):
        return sum(of(each.crawl) for each in self.shards if each.crawl is not None)

    @property
    def pages(self):
        return self.sum(lambda crawl: crawl.counts.pages)


def pages_are(world, count):
    return lambda: world.pages >= count


@pytest.mark.parametrize("shards", [1, 2, 3, 5])
def test_shards_fetch_each_page_once_and_count_together_what_one_crawl_counts(shards):
    world = World(shards).begin().finish()
    assert world.items() == ALL
    assert max(Counter(world.urls()).values()) == 1
    assert [shard.crawl.outcome() for shard in world.shards] == [(State.DONE, "")] * shards
    assert world.pages == PAGES
    statistics = [shard.crawl.statistics for shard in world.shards]
    assert all(each.pending == 0 for each in statistics)
    alone = World(1).begin().finish().shards[0].crawl.statistics
    assert sum(each.discovered for each in statistics) == alone.discovered
    assert (
        sum(each.filtered.get("duplicate", 0) for each in statistics) == alone.filtered["duplicate"]
    )


def test_shards_share_the_sites():
    world = World().begin().finish()
    assert all(len(shard.urls()) >= PAGES // 6 for shard in world.shards)


@pytest.mark.parametrize("batch", [1, 5, 200])
@pytest.mark.parametrize("done", range(0, 40, 4))
@pytest.mark.parametrize("killed", [0, 1])
def test_a_shard_that_is_killed_anywhere_goes_on_and_each_item_is_there_once(
    monkeypatch, done, batch, killed
):
    monkeypatch.setattr(checkpoints, "BATCH", batch)
    world = World().begin()
    world.until(pages_are(world, done))
    world.shards[killed].kill()
    for _ in range(20):
        world.clock.advance(0.05)
        settle()
    world.shards[killed].begin()
    world.finish()
    assert world.items() == ALL
    assert world.pages == PAGES
    assert all(shard.crawl.statistics.pending == 0 for shard in world.shards)
    assert all(shard.crawl.outcome() == (State.DONE, "") for shard in world.shards)
