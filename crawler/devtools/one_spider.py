"""Runs one spider in this process: no cluster, no settings file, the same engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent import Greenlet

from crawler.clock import SystemClock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import Kept
from crawler.engine.download.address_policy import ALL
from crawler.engine.download.http_cache import Cache
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.engine.politeness.sharing import SharedHosts
from crawler.engine.spiders.spider import Spider
from crawler.model.records import Spec
from crawler.model.statistics import Statistics
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import Supervisor

LOOK_S = 0.1
"""The seconds between two looks at the progress."""


@contextmanager
def engine_for(
    settings: CrawlSettings, *spiders: type[Spider], shared_hosts: SharedHosts | None = None
) -> Iterator[Engine]:
    """An engine with these spiders, which runs until the end of the block. With `shared_hosts`, it
    keeps the pace of hosts together with others.

    People at this machine may reach what the machine reaches, private addresses included, and run
    any code.
    """
    known = {spider.name: spider for spider in spiders}
    cache = Cache(Path("http-cache"))
    engine = Engine(
        settings,
        known,
        private_targets=[ALL],
        cache=cache,
        trusts_tasks=True,
        shared_hosts=shared_hosts,
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


class Solo:
    """One crawl. `stop` may be called from anywhere, also from a signal handler."""

    def __init__(
        self, engine: Engine, spec: Spec, sink: Sink | SinkMaker, kept: Kept | None = None
    ) -> None:
        """Raises NotFound and InvalidArgument, like `Engine.crawl`."""
        self._crawl: Crawl = engine.crawl(spec, sink, kept)
        self._in_callback = engine.task_in_callback
        self._greenlet: Greenlet | None = None
        self.stop = self._crawl.stop

    def cut_off(self) -> None:
        """End a callback where it is. The crawl then writes the items yielded so far, and ends.

        A signal handler calls it. If the callback computes, it is interrupted by this very call,
        which then raises GreenletExit.
        """
        self.stop()  # it waits for no answer any more
        greenlet = self._greenlet
        if greenlet is None or not self._in_callback():
            return  # it is about to end, and must not be disturbed while it writes its items
        if gevent.getcurrent() is greenlet:
            raise gevent.GreenletExit
        greenlet.kill(block=False)

    def run(self, look: Callable[[Statistics], None]) -> Crawl:
        """Crawl to the end. Calls `look` with the statistics from time to time."""
        supervisor = Supervisor("solo")
        clock = SystemClock()
        self._greenlet = supervisor.spawn("crawl", self._crawl.run)
        try:
            while not clock.wait(self._crawl.ended, LOOK_S):
                look(self._crawl.statistics)
        finally:
            supervisor.stop()
        return self._crawl
