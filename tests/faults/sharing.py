"""Tasks of two workers that share a Redis, each on a machine of its own and behind a link of its
own, and what their one host has seen of them."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager

from crawler.items import items_of
from tests.faults.proxy import Link
from tests.faults.stalls import Stalls
from tests.integration.lab import Lab
from tests.integration.test_processes_resume import SPIDER, tree
from tests.site import Site
from tests.waiting import eventually

PAGES = 40
DELAY_S = 0.1
"""The pause of the host. All tasks of a test have the same one."""
WORKERS = ("worker-1", "worker-2")


class SharedCrawls:
    """A master, two workers and a site; the tasks that a test adds all crawl the same host."""

    def __init__(self, lab, redis):
        self.lab, self.redis = lab, redis
        self.links = {worker: Link(f"127.0.0.1:{redis.port}") for worker in WORKERS}
        self.site = None
        self._stalls = Stalls(DELAY_S)

    def start(self):
        self._stalls.start()
        for worker, link in self.links.items():
            link.start()
            folder = self.lab.folder / worker
            self.lab.start(
                *("master-1", worker),
                config="tree",
                CRAWLER_FRONTIER_URL=f"redis://{link.endpoint}/0",
                CRAWLER_WORKER_ITEMS=str(folder / "items"),
            )

    def stop(self):
        self._stalls.stop()
        for link in self.links.values():
            link.stop()

    def add(self, *names):
        """Two tasks go to two workers: each gets the one with fewer."""
        tasks = [SharedCrawl(self, name) for name in names]
        for task in tasks:
            task.until(PAGES // 8)
        return tasks

    def early(self, since_s=0.0):
        """The pairs of requests that came too close together."""
        return self._stalls.early([hit for hit in self.site.hits if hit.at_s >= since_s])

    def last_s(self, worker):
        """When a worker asked last."""
        return max(hit.at_s for hit in self.site.hits if hit.agent == worker)

    def is_ready(self, worker):
        return self.lab[worker].call("GET", "/readyz")[0] == 200

    def why_unready(self, worker):
        return self.lab[worker].call("GET", "/readyz")[2].decode()


class SharedCrawl:
    """One task: its pages lie below its name."""

    def __init__(self, crawls, name):
        self._crawls, self.name = crawls, name
        settings = {"delay_s": DELAY_S, "host_concurrency": 1}
        start = crawls.site.url(f"/{name}/0")
        parameters = {"start_urls": [start], "settings": settings}
        task = {"name": name, "spider": "tree", "parameters": parameters}
        crawls.lab._ask("POST", "/crawler/resource", task)

    @property
    def worker(self):
        """The worker that has it: `worker-1`."""
        owner = self._crawls.lab.resource(self.name)["AssignedNode"]
        return owner.partition("|")[0].removeprefix("go.micro.server.")

    @property
    def state(self):
        return self._crawls.lab.resource(self.name)["State"]

    def asked(self):
        paths = self._crawls.site.paths()
        return Counter(path for path in paths if path.startswith(f"/{self.name}/"))

    def until(self, pages):
        eventually(lambda: self.asked().total() >= pages, what=f"{pages} pages of {self.name}")

    def until_done(self):
        eventually(lambda: self.state in ("done", "failed"), what=f"{self.name} is done")
        assert self.state == "done", self._crawls.lab.resource(self.name)

    def assert_whole(self, most_again=0):
        """Each page was fetched, few of them again, and each item is there once."""
        self.until_done()
        asked = self.asked()
        assert len(asked) == PAGES
        assert asked.total() - PAGES <= most_again
        folders = [self._crawls.lab.folder / worker / "items" for worker in WORKERS]
        there = [folder for folder in folders if folder.is_dir()]
        items = Counter(int(item["page"]) for item in items_of(self.name, *there))
        assert items == Counter(range(PAGES))


class RedisRestart:
    """Redis is killed; healing starts it again, with what it had."""

    def __init__(self, redis):
        self._redis = redis

    def inject(self, arena):
        self._redis.kill()

    def heal(self, arena):
        self._redis.start()


class RedisFreeze:
    """Redis stands still: it accepts connections, and says nothing."""

    def __init__(self, redis):
        self._redis = redis

    def inject(self, arena):
        self._redis.freeze()

    def heal(self, arena):
        self._redis.thaw()


class RedisCut:
    """Bytes between one worker and Redis vanish."""

    def __init__(self, link):
        self._link = link

    def inject(self, arena):
        self._link.swallow()

    def heal(self, arena):
        self._link.heal()


@contextmanager
def shared_crawls(folder, redis):
    """A lab of two workers with this Redis."""
    with Lab(folder) as lab:
        lab.add_spider("tree", SPIDER.format(site="http://nowhere/"))
        crawls = SharedCrawls(lab, redis)
        try:
            crawls.start()
            yield crawls
        finally:
            crawls.stop()


@contextmanager
def site_of(crawls, *names):
    """A site with the pages of these tasks."""
    with Site(pages={name: tree(PAGES) for name in names}) as crawls.site:
        yield crawls.site
