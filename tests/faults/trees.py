"""Tasks that come to an end and go on where they were, whatever happens: what became of each.

Each tree is a host of its own, which one worker crawls. A wood has several hosts, and three workers
crawl it together. When a task is done, its pages, its items and its pace are looked at, and another
one is added.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict, deque

from crawler.items import items_of
from tests.faults.arena import unless_etcd_is_silent
from tests.faults.stalls import Stalls
from tests.integration.test_processes_resume import SPIDER, tree
from tests.integration.test_processes_shards import wood
from tests.site import Site

PAGES = {"tree": 150, "wood": 480}
WORKERS = {"tree": 1, "wood": 3}
HOSTS = 4
DELAY_S = 0.3
REST_S = 5.0
"""How long a task is paused before the next one is."""
SPIDERS = "slow.py, tree.py"


class Trees:
    """So many at a time, and one of them a wood."""

    def __init__(self, arena, most, patience_s):
        self.trouble = []
        """What became of a task that should not."""
        self.counts = Counter()
        pages = {"tree": tree(PAGES["tree"]), "wood": wood(PAGES["wood"], self._host_of_wood)}
        self.site = Site(pages=pages)
        self._arena = arena
        self._most = most
        self._patience_s = patience_s
        self._numbers = itertools.count(1)
        self._going = {}
        """Task → when it was added."""
        self._turns = itertools.count()
        self._due_s = 0.0
        self._resting = deque()
        """The task that is paused at present, or none."""
        self.stalls = Stalls(DELAY_S)

    @staticmethod
    def spider():
        """The source of their spider."""
        return SPIDER.format(site="http://nowhere/")

    def items(self, worker):
        """The folder of a worker's items: as if each had a machine of its own."""
        return self._arena.lab.folder / worker / "items"

    @property
    def names(self):
        """The tasks that have not been looked at yet."""
        return set(self._going)

    def tend(self):
        """Look at those that have ended, and add others in their place."""
        self.look()
        while len(self._going) < self._most:
            self._add()
        self._let_rest()

    def wake(self):
        """Let all go on."""
        while self._resting:
            self._arena.client.ask(self._resting.popleft(), "resume", self._patience_s)

    def _let_rest(self):
        """Pause one after the other, and resume each after a few seconds."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + REST_S
        self.wake()
        name = next(itertools.islice(self._going, next(self._turns) % len(self._going), None))
        self._resting.append(name)
        self._arena.client.ask(name, "pause", self._patience_s)
        self.counts["pauses"] += 1

    def look(self):
        """Look at those that have ended, and delete them."""
        for name in [name for name in self._going if self._state(name) in ("done", "failed")]:
            took_s = time.monotonic() - self._going.pop(name)
            self._judge(name)
            self.counts["longest"] = max(self.counts["longest"], round(took_s))
            self._arena.client.delete(name, self._patience_s)

    def _add(self):
        kind = "tree" if any(map(_is_wood, self._going)) else "wood"
        name = f"{kind}-{next(self._numbers):04}"
        settings = {"delay_s": DELAY_S, "host_concurrency": 1, "resume": True}
        host = self._host_of_wood(0) if _is_wood(name) else self._host_of_tree(name)
        start = self.site.url(f"/{kind}/{name}/0", host)
        parameters = {"start_urls": [start], "settings": settings}
        task = {"name": name, "spider": "tree", "parameters": parameters}
        task["workers"] = WORKERS[kind]
        self._going[name] = time.monotonic()
        self._arena.client.add(name, self._patience_s, task)

    @staticmethod
    def _host_of_tree(name):
        number = int(name.rpartition("-")[2])
        return f"127.1.{number // 250}.{number % 250 + 1}"

    @staticmethod
    def _host_of_wood(number):
        return f"127.2.0.{number % HOSTS + 1}"

    @unless_etcd_is_silent
    def _state(self, name):
        return (self._arena.lab.resource(name) or {}).get("State")

    def _judge(self, name):
        kind = _kind(name)
        hits = [hit for hit in self.site.hits if hit.url.startswith(f"/{kind}/{name}/")]
        asked = Counter(hit.url for hit in hits)
        early = [pair for seen in _by_host(hits) for pair in self.stalls.early(seen)]
        there = [self.items(node.title) for node in self._arena.lab.nodes("worker")]
        found = items_of(name, *(folder for folder in there if folder.is_dir()))
        items = Counter(int(item["page"]) for item in found)
        found = {
            "pages": len(asked),
            "again": asked.total() - len(asked),
            "lost": PAGES[kind] - len(asked),
            "items": items.total(),
            "missing": len(set(range(PAGES[kind])) - items.keys()),
            "doubled": items.total() - len(items),
            "early": len(early),
            "runs": len(set(found.epochs)),
            "workers": len({hit.agent for hit in hits}),
        }
        self.counts.update(found, tasks=1, woods=int(_is_wood(name)))
        state = self._state(name)
        wrong = {kind: found[kind] for kind in ("lost", "missing", "doubled", "early")}
        if state == "failed" or any(wrong.values()):
            value = self._arena.lab.resource(name)
            self.trouble.append(f"{name} is {state}: {found}; early: {early}; {value}")


def _kind(name):
    return name.partition("-")[0]


def _is_wood(name):
    return _kind(name) == "wood"


def _by_host(hits):
    found = defaultdict(list)
    for hit in hits:
        found[hit.host].append(hit)
    return found.values()
