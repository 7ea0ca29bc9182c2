"""Several crawls of one task, with a real Redis and real pages: each page once, in one process."""

from collections import Counter
from contextlib import ExitStack
from uuid import uuid4

import gevent
import pytest

from crawler import Spider
from crawler.engine.crawl import checkpoints
from crawler.engine.crawl.kept import Kept
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.model.records import Spec, State
from crawler.settings.redis_url import parsed
from tests.integration.test_processes_resume import tree
from tests.site import Site
from tests.site.crawling import adds_up, running_engine
from tests.unit.engine.test_checkpoints import Dead, File
from tests.waiting import PATIENCE_S, eventually

PAGES = 60
SITES = 4


class Trees(Spider):
    """Each page of each tree, and from the root of a tree to that of the next one."""

    name = "trees"

    def parse(self, response):
        yield {"page": response.url}
        yield from response.follow_all(css="a")
        if response.url.endswith("/tree/0"):
            yield from map(response.follow, self.others)


@pytest.fixture
def sites():
    with ExitStack() as opened:
        yield [opened.enter_context(Site(pages={"tree": tree(PAGES)})) for _ in range(SITES)]


@pytest.fixture
def engine():
    with running_engine(Trees, host_concurrency=3, concurrency=6, delay_s=0.001) as engine:
        yield engine


class Shards:
    """The shards of one task."""

    def __init__(self, engine, url, sites, count=3):
        self.engine, self.sites = engine, sites
        self.server = RedisServer(Access(parsed(url)))
        self.name = uuid4().hex
        self.files = [File() for _ in range(count)]
        self.crawls, self.greenlets = [None] * count, [None] * count
        self.epoch = 0

    def begin(self, shard):
        self.epoch += 1
        store = RedisSharedStore(self.server, self.name, shard, "trees")
        kept = Kept(
            store,
            store.open(self.epoch),
            remembers_end=True,
            drops_missing=True,
            remembers_failure=True,
            shard=shard,
        )
        parameters = {"start_urls": [self.sites[0].url("/tree/0")]}
        spec = Spec(f"trees~{shard}", "trees", parameters)
        crawl = self.engine.crawl(spec, self.files[shard], kept)
        crawl.spider.others = [site.url("/tree/0") for site in self.sites[1:]]
        self.crawls[shard] = crawl
        self.greenlets[shard] = gevent.spawn(crawl.run)

    def kill(self, shard):
        made = self.crawls[shard]._checkpoints
        store = made._store
        made._kept, made._store = Kept(Dead(), None), Dead()
        if made._under_way is not None:
            made._under_way.kill()
        self.greenlets[shard].kill()
        store._supervisor.stop()

    def finish(self):
        gevent.joinall(self.greenlets, timeout=2 * PATIENCE_S)
        assert all(crawl.ended.is_set() for crawl in self.crawls)

    def close(self):
        for crawl in self.crawls:
            if crawl is not None:
                crawl.break_off()
        gevent.joinall([each for each in self.greenlets if each is not None])
        self.server.close()

    def hits(self):
        return sum(len(site.hits) for site in self.sites)

    def assert_each_page_once(self):
        assert [crawl.outcome() for crawl in self.crawls] == [(State.DONE, "")] * len(self.crawls)
        found = [adds_up(crawl) for crawl in self.crawls]
        assert sum(each.pending for each in found) == 0
        assert sum(each.pages for each in found) == SITES * PAGES
        pages = Counter(item["page"] for file in self.files for item in file)
        assert set(pages.values()) == {1}
        assert len(pages) == SITES * PAGES


@pytest.fixture
def shards(engine, shared_redis, sites):
    made = Shards(engine, shared_redis.url, sites)
    yield made
    made.close()


def test_shards_fetch_each_page_once(shards):
    for shard in range(3):
        shards.begin(shard)
    shards.finish()
    shards.assert_each_page_once()
    assert shards.hits() == SITES * PAGES
    assert sum(crawl.counts.pages > 0 for crawl in shards.crawls) >= 2


@pytest.mark.parametrize("killed", [0, 1])
def test_a_shard_that_is_killed_goes_on_and_each_item_is_there_once(shards, monkeypatch, killed):
    monkeypatch.setattr(checkpoints, "BATCH", 8)
    for shard in range(3):
        shards.begin(shard)
    eventually(lambda: shards.hits() > SITES * PAGES // 3, every_s=0.005)
    shards.kill(killed)
    shards.begin(killed)
    shards.finish()
    shards.assert_each_page_once()


def test_shards_that_are_stopped_go_on_and_nothing_is_asked_again(shards):
    for shard in range(3):
        shards.begin(shard)
    eventually(lambda: shards.hits() > SITES * PAGES // 3, every_s=0.005)
    for crawl in shards.crawls:
        crawl.stop()
    shards.finish()
    for shard in range(3):
        shards.begin(shard)
    shards.finish()
    shards.assert_each_page_once()
    assert shards.hits() == SITES * PAGES
