"""The crawl by this engine, with its state kept in files, or in Redis.

    python -m bench.contenders.kept URL ITEMS FOLDER|redis://…

It goes on if a crawl is kept there. Ctrl-C stops it in order. It tells what the process and the
thread of the store used, and the longest time for which a checkpoint held the hub.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.contenders.common import pin
from bench.contenders.ours import spider
from crawler.engine.crawl.checkpoints import Checkpoints
from crawler.engine.crawl.kept import open_store
from crawler.engine.engine import Engine
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.frontier.store import Step
from crawler.engine.items.sinks.json_lines import JsonLinesSink
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from crawler.settings.redis_url import parsed

T = TypeVar("T")


class TimedStore(SqliteStore):
    """Measures the processor's time of its thread."""

    spent_s = 0.0
    steps = 0

    _writes = False

    def _in_thread(self, step: Callable[[], T]) -> T:
        def timed() -> T:
            began_s = time.thread_time()
            try:
                return step()
            finally:
                self.spent_s += time.thread_time() - began_s

        return super()._in_thread(timed if self._writes else step)

    def write(self, step: Step) -> None:
        """Measure this, and not the opening and the closing."""
        self._writes = True
        super().write(step)
        self._writes = False
        self.steps += 1


class TimedCheckpoints:
    """Measures how long the crawl computes for a checkpoint."""

    longest_s = 0.0

    @classmethod
    def install(cls) -> None:
        """Measure from now on."""
        begin = Checkpoints._begin

        def timed(self: Checkpoints, is_last: bool = False) -> None:
            began_s = time.thread_time()
            begin(self, is_last)
            cls.longest_s = max(cls.longest_s, time.thread_time() - began_s)

        Checkpoints._begin = timed  # type: ignore[method-assign]


class CountedStore(RedisStore):
    """Counts its steps."""

    spent_s = 0.0
    steps = 0

    def write(self, step: Step) -> None:
        """Count this."""
        super().write(step)
        self.steps += 1


def store_at(place: str) -> TimedStore | CountedStore:
    """The store in a folder or in Redis."""
    if place.startswith("redis://"):
        return CountedStore(RedisServer(Access(parsed(place))), "bench")
    return TimedStore(Path(place))


def main(base: str, items: Path, place: str) -> None:
    """Crawl the site, or the rest of it."""
    found = spider("class")
    settings = CrawlSettings(delay_s=0, host_concurrency=64, concurrency=64)
    engine = Engine(settings, {found.name: found}, private_targets=["127.0.0.0/8"])
    engine.start()
    spec = Spec(found.name, parameters={"start_urls": [f"{base}/p/0.html"]})
    store = store_at(place)
    began_s = time.perf_counter()
    kept = open_store(store, spec)
    before = kept.found.waiting
    opened_s = time.perf_counter() - began_s
    crawl = engine.crawl(spec, JsonLinesSink(items), kept)
    signal.signal(signal.SIGINT, lambda *_: crawl.stop())
    TimedCheckpoints.install()
    used_s = time.process_time()
    crawl.run()
    used_s = time.process_time() - used_s
    store.close()
    engine.stop()
    told = crawl.statistics
    print(
        json.dumps(
            {
                "pages": told.pages,
                "seconds": crawl.counts.seconds,
                "is_done": crawl.is_done,
                "repeated": told.repeated,
                "waited_before": before,
                "opened_s": opened_s,
                "store_us": store.spent_s * 1e6,
                "steps": store.steps,
                "processor_s": used_s,
                "longest_ms": TimedCheckpoints.longest_s * 1000,
            }
        )
    )


if __name__ == "__main__":
    pin()
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
