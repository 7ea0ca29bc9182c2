"""Several shards that crawl one task on a fake network, in one process."""

from collections import Counter

import gevent
from gevent.event import Event

from crawler.clock import ManualClock, settle
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import Kept
from crawler.engine.frontier.memory_shared_store import MemoryTask
from crawler.model.records import State
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import FakeFetcher, page, shared
from tests.unit.engine.test_checkpoints import Dead, File


class Failing:
    """A store that is reached no more from one of its exchanges on: before or after it took it."""

    def __init__(self, store, number, takes_it):
        self._store, self._left, self._takes_it = store, number, takes_it
        self.is_silent = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    def exchange(self, step, exchange):
        self._left -= 1
        if self._left < 0:
            if self._left == -1 and self._takes_it:
                self._store.exchange(step, exchange)
            self.is_silent = True
            Event().wait()
        return self._store.exchange(step, exchange)


class Shard:
    """What outlives the runs of one shard: its store, its file of items, and what it asked for."""

    def __init__(self, world, number):
        self.world, self.number = world, number
        self.store = world.task.shard(number)
        self.file = File()
        self.asked = []
        self.crawl = self.greenlet = self.used = None

    def begin(self, store=None, **settings):
        """A run in its greenlet, which has done all that it can do at once."""
        self.spawn(store, **settings)
        settle()
        return self.crawl

    def spawn(self, store=None, **settings):
        """The greenlet of a run that has not begun yet."""
        world = self.world
        spider = world.spider_class()
        given = {"delay_s": 0.0, "robots": False, "throttle_s": 0.0, **world.settings, **settings}
        spider.settings = CrawlSettings(**given)
        fetcher = FakeFetcher(world.clock, lambda call: world.answer(self, call), world.delay_s)
        self.asked.append(fetcher.sent)
        self.used = store or self.store
        kept = Kept(
            self.used,
            self.store.open(),
            remembers_end=True,
            drops_missing=True,
            remembers_failure=True,
            shard=self.number,
        )
        name = f"task~{self.number}" if self.number else "task"
        self.parts = shared(fetcher, world.clock)
        self.crawl = Crawl(name, spider, self.file, self.parts, kept)
        self.greenlet = gevent.spawn(self.crawl.run)
        return self.greenlet

    def fail(self, number, takes_it):
        """A run that reaches its store no more from one of its exchanges on."""
        return self.begin(Failing(self.store, number, takes_it))

    @property
    def is_silent(self):
        return isinstance(self.used, Failing) and self.used.is_silent

    @property
    def is_running(self):
        return self.greenlet is not None and not self.greenlet.dead

    def kill(self):
        """End the run as a kill does: nothing more is kept."""
        if not self.is_running:
            return
        made = self.crawl._checkpoints
        made._kept, made._store = Kept(Dead(), None), Dead()
        if made._under_way is not None:
            made._under_way.kill()
        self.greenlet.kill()

    def urls(self):
        return [call.url for run in self.asked for _, call in run]

    @property
    def statistics(self):
        return self.crawl.statistics


class World:
    """A task and its shards."""

    def __init__(
        self, shards=3, spider_class=None, answer_of=lambda call: page(), delay_s=0.1, **settings
    ):
        self.clock = ManualClock()
        self.task = MemoryTask(self.clock)
        self.spider_class, self.answer_of, self.delay_s = spider_class, answer_of, delay_s
        self.settings = {"concurrency": 4, "host_concurrency": 4, **settings}
        self.shards = [Shard(self, number) for number in range(shards)]
        self.sent = []
        """Who asked for what, in order: the moment, the number of the shard, and the URL."""

    def answer(self, shard, call):
        self.sent.append((self.clock.monotonic(), shard.number, call.url))
        return self.answer_of(call)

    def begin(self):
        for shard in self.shards:
            shard.begin()
        return self

    def advance(self, duration_s):
        """Let time pass. Who reaches its store no more is killed, and begins anew."""
        self.clock.advance(duration_s)
        settle(3)
        for shard in self.shards:
            if shard.is_running and shard.is_silent:
                shard.kill()
                shard.begin()

    def until(self, is_enough, step_s=0.1, steps=3000):
        for _ in range(steps):
            if is_enough() or not any(shard.is_running for shard in self.shards):
                return
            self.advance(step_s)
        raise AssertionError("the crawl did not get there")

    def finish(self, step_s=0.1):
        self.until(lambda: False, step_s)
        for shard in self.shards:
            if shard.greenlet is not None:
                shard.greenlet.get(block=False)
        return self

    def items(self):
        return Counter(tuple(item.values()) for shard in self.shards for item in shard.file)

    def urls(self):
        return [url for _, _, url in self.sent]

    def sum(self, of):
        return sum(of(each.statistics) for each in self.shards if each.crawl is not None)

    def pages(self):
        return self.sum(lambda found: found.pages)

    def filtered(self, reason):
        return self.sum(lambda found: found.filtered.get(reason, 0))

    def outcomes(self):
        return [shard.crawl.outcome() for shard in self.shards]

    def assert_done(self):
        """Each shard is done, and no request is without an end."""
        assert self.outcomes() == [(State.DONE, "")] * len(self.shards)
        assert self.sum(lambda found: found.pending) == 0
        assert self.task.left == 0
