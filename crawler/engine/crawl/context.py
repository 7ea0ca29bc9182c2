"""What the parts of one crawl share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from crawler.clock import Clock
from crawler.engine.crawl.close_conditions import CloseConditions
from crawler.engine.crawl.shared import Shared
from crawler.engine.crawl.time_slice import TimeSlice
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.counters import Counters
from crawler.engine.stats.current_callback import CurrentCallback
from crawler.settings.crawl import CrawlSettings


@dataclass(frozen=True, slots=True)
class CrawlContext:
    """The context of one crawl, which goes to each of its parts."""

    task: str
    """The name of the crawl's task."""
    spider: Spider
    settings: CrawlSettings
    shared: Shared
    """What all crawls of the worker share."""
    clock: Clock
    counters: Counters
    close_conditions: CloseConditions
    time_slice: TimeSlice
    current_callback: CurrentCallback

    @property
    def names(self) -> dict[str, str]:
        """What each line of the log about this crawl names."""
        return {"task": self.task, "spider": self.spider.name}

    @classmethod
    def of(cls, task: str, spider: Spider, shared: Shared) -> Self:
        """Make the context of a new crawl."""
        clock = shared.clock
        counters = Counters(clock)
        return cls(
            task=task,
            spider=spider,
            settings=spider.settings,
            shared=shared,
            clock=clock,
            counters=counters,
            close_conditions=CloseConditions(spider.settings, counters, clock),
            time_slice=TimeSlice(clock),
            current_callback=shared.current_callback,
        )
