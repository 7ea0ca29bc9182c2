"""What the head of a task hears of the statistics of the other shards.

They are for people alone: whatever goes wrong here, the crawl goes on with the figures it had.
"""

from __future__ import annotations

import json

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.kept import COUNTERS
from crawler.engine.frontier.shared_store import SharedStore
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.stats.counters import statistics_of_kept
from crawler.logs import get_logger
from crawler.model.shards import shard_name
from crawler.model.statistics import Statistics

log = get_logger(__name__)


class ShardStatistics:
    """The statistics of each other shard, as the store had them last."""

    def __init__(self, store: SharedStore, context: CrawlContext) -> None:
        self._store = store
        self._context = context
        self._unreadable: set[int] = set()
        self.known: dict[int, Statistics] = {}
        """Number of a shard → its statistics. Nobody else tells those of shards that are gone."""

    def ask(self) -> None:
        """Hear what the other shards have counted. Raises nothing: the next step tells people of a
        store that fails."""
        try:
            texts = self._store.texts(COUNTERS)
        except StoreFailed:
            return
        for number, text in texts.items():
            self._read(number, text)

    def _read(self, number: int, text: str) -> None:
        """Take what a shard keeps. A worker of another version may write it in another way."""
        name, spider = shard_name(self._context.task, number), self._context.spider.name
        try:
            kept = json.loads(text)
            self.known[number] = statistics_of_kept(kept, name, spider, self._context.clock)
        except Exception as error:
            if number not in self._unreadable:
                why = f"{type(error).__name__}: {error}"
                log.warning("the statistics of a shard cannot be read", task=name, why=why)
            self._unreadable.add(number)
