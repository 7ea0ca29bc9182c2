"""Tasks that come to an end and go on where they were, whatever happens: what became of each.

Each crawls a host of its own. When it is done, its pages, its items and its pace are looked at, and
the next one is added.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter

from crawler.items import items_of
from tests.faults.arena import unless_etcd_is_silent
from tests.faults.stalls import Stalls
from tests.integration.test_processes_resume import SPIDER, tree
from tests.site import Site

PAGES = 150
DELAY_S = 0.3
SPIDERS = "slow.py, tree.py"


class Trees:
    """So many at a time."""

    def __init__(self, arena, most, patience_s):
        self.trouble = []
        """What became of a task that should not."""
        self.counts = Counter()
        self.site = Site(pages={"tree": tree(PAGES)})
        self._arena = arena
        self._most = most
        self._patience_s = patience_s
        self._numbers = itertools.count(1)
        self._going = {}
        """Task → when it was added."""
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

    def look(self):
        """Look at those that have ended, and delete them."""
        for name in [name for name in self._going if self._state(name) in ("done", "failed")]:
            took_s = time.monotonic() - self._going.pop(name)
            self._judge(name)
            self.counts["longest"] = max(self.counts["longest"], round(took_s))
            self._arena.client.delete(name, self._patience_s)

    def _add(self):
        number = next(self._numbers)
        name = f"tree-{number:04}"
        settings = {"delay_s": DELAY_S, "host_concurrency": 1, "resume": True}
        start = self.site.url(f"/tree/{name}/0", self._host(name))
        parameters = {"start_urls": [start], "settings": settings}
        task = {"name": name, "spider": "tree", "parameters": parameters}
        self._going[name] = time.monotonic()
        self._arena.client.add(name, self._patience_s, task)

    @staticmethod
    def _host(name):
        number = int(name.rpartition("-")[2])
        return f"127.1.{number // 250}.{number % 250 + 1}"

    @unless_etcd_is_silent
    def _state(self, name):
        return (self._arena.lab.resource(name) or {}).get("State")

    def _judge(self, name):
        hits = [hit for hit in self.site.hits if hit.url.startswith(f"/tree/{name}/")]
        asked = Counter(hit.url for hit in hits)
        early = self.stalls.early(hits)
        there = [self.items(node.title) for node in self._arena.lab.nodes("worker")]
        found = items_of(name, *(folder for folder in there if folder.is_dir()))
        items = Counter(int(item["page"]) for item in found)
        found = {
            "pages": len(asked),
            "again": asked.total() - len(asked),
            "lost": PAGES - len(asked),
            "items": items.total(),
            "missing": len(set(range(PAGES)) - items.keys()),
            "doubled": items.total() - len(items),
            "early": len(early),
            "runs": len(set(found.epochs)),
            "workers": len({hit.agent for hit in hits}),
        }
        self.counts.update(found, tasks=1)
        state = self._state(name)
        wrong = {kind: found[kind] for kind in ("lost", "missing", "doubled", "early")}
        if state == "failed" or any(wrong.values()):
            value = self._arena.lab.resource(name)
            self.trouble.append(f"{name} is {state}: {found}; early: {early}; {value}")
