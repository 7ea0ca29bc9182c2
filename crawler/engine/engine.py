"""The engine of a worker: it makes the crawls of tasks, and holds what all crawls share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakSet

import gevent

from crawler import redaction
from crawler.clock import Clock, SystemClock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.kept import Kept
from crawler.engine.crawl.resume import look_for_callbacks
from crawler.engine.crawl.shared import Shared
from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl import CurlFetcher
from crawler.engine.download.downloader import Downloader
from crawler.engine.download.http_cache import Cache
from crawler.engine.http.url_forms import forms_in_urls
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.engine.plugins import load
from crawler.engine.politeness.host_owner import HostOwner
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots import Robots
from crawler.engine.politeness.sharing import SharedHosts
from crawler.engine.spiders.described import described
from crawler.engine.spiders.factory import make_spider, settings_for
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.current_callback import CurrentCallback
from crawler.engine.stats.registry import StatisticsRegistry
from crawler.engine.stats.slow_callbacks import SlowCallbacks
from crawler.errors import NotFound
from crawler.model.records import Spec
from crawler.model.spiders import SpiderAbout
from crawler.settings.crawl import CrawlSettings
from crawler.settings.worker import WorkerSettings
from crawler.supervision import OnEnd, Supervisor


class Engine:
    """Runs spiders. All crawls share its connections, robots rules and politeness."""

    def __init__(
        self,
        crawl_settings: CrawlSettings,
        spiders: Mapping[str, type[Spider]],
        clock: Clock | None = None,
        private_targets: Sequence[str] = (),
        plugins: Sequence[str] = (),
        most_response_bytes: int = WorkerSettings.response_bytes,
        cache: Cache | None = None,
        trusts_tasks: bool = False,
        shared_hosts: SharedHosts | None = None,
        current_callback: CurrentCallback | None = None,
    ) -> None:
        """`private_targets` are networks that may be crawled although they are not public, or `all`
        (address_policy.py). `plugins` are modules with hooks (hookspecs.py). `cache` is the HTTP
        cache, for crawls that ask for it. With `trusts_tasks` the settings of a task may name code
        to run, because whoever starts this process wrote them. Workers with `shared_hosts` keep the
        pace of hosts together. `current_callback` is told which callback runs.

        Raises ConfigError for a bad network or plugin.
        """
        redaction.know(forms_in_urls)
        self._trusts_tasks = trusts_tasks
        self._settings = crawl_settings
        self._spiders = dict(spiders)
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor("engine", clock=self._clock)
        policy = AddressPolicy(private_targets)
        self.held = BodyMemory(most_response_bytes)
        """Counts the bytes of responses in memory."""
        curl = CurlFetcher(policy, self._clock, crawl_settings.proxies, self.held)
        brought = load(plugins)
        self._pipelines = brought.pipelines
        self._fetcher = Downloader(curl, policy, curl.resolver, brought.fetchers)
        self._crawls: WeakSet[Crawl] = WeakSet()
        self.statistics = StatisticsRegistry(self._clock)
        """The statistics of all crawls."""
        hosts = Hosts(self._clock)
        self.host_owner: HostOwner | None = None
        """The hosts that this worker owns, if it shares hosts with others."""
        shelf = None
        if shared_hosts is not None:
            self.host_owner = hosts.share(shared_hosts.register, shared_hosts.name)
            shelf = shared_hosts.shelf
        self._shared = Shared(
            fetcher=self._fetcher,
            hosts=hosts,
            robots=Robots(self._fetcher, self._supervisor, self._clock, shelf),
            clock=self._clock,
            cache=cache,
            held=self.held,
            current_callback=current_callback or CurrentCallback(),
        )
        self._slow = SlowCallbacks(self._shared.current_callback)

    def start(self) -> None:
        """Start fetching and the watch over slow callbacks."""
        self._fetcher.start()
        self._slow.start()
        self._supervisor.spawn("statistics", self.statistics.log_forever, on_end=OnEnd.RESTART)
        if self.host_owner is not None:
            self._supervisor.spawn("hosts", self.host_owner.tend_forever, on_end=OnEnd.RESTART)

    def stop(self, deadline_s: float = 5.0) -> None:
        """Stop the crawls, wait for them, and close all connections. May be called again."""
        running = [crawl for crawl in self._crawls if crawl.running]
        for crawl in running:
            crawl.stop()
        gevent.wait([crawl.ended for crawl in running], timeout=deadline_s)
        self._supervisor.stop(deadline_s)
        if self.host_owner is not None:
            self.host_owner.close()
        self._slow.stop()
        self._fetcher.stop()
        if self._shared.cache is not None:
            self._shared.cache.close()

    def spider_names(self) -> frozenset[str]:
        """The names of all spiders."""
        return frozenset(self._spiders)

    def described(self) -> Mapping[str, SpiderAbout]:
        """What the classes of the spiders show, by name."""
        return described(self._spiders)

    def settings_of(self, spec: Spec) -> CrawlSettings:
        """The settings with which a task will be crawled. Raises NotFound and InvalidArgument."""
        return settings_for(self._spider_of(spec), spec.parameters, self._settings)

    def adjust(self, crawl: Crawl, spec: Spec) -> None:
        """Change the settings of a crawl to those of its task, as far as they may change while it
        runs (settings/live.py). Raises InvalidArgument for bad settings."""
        crawl.adjust(settings_for(type(crawl.spider), spec.parameters, self._settings))

    def task_in_callback(self) -> str:
        """The task whose callback runs now; empty if none does. Any thread may ask."""
        called = self._shared.current_callback.now
        return called.task if called is not None else ""

    def crawl(self, spec: Spec, sink: Sink | SinkMaker, kept: Kept | None = None) -> Crawl:
        """Make the crawl of a task. The caller runs it in a greenlet of its own. `kept` is the
        store from which it goes on.

        Raises NotFound if there is no such spider, and InvalidArgument if the spider or its
        settings do not allow the task's parameters, or if it lacks callbacks for which requests
        wait in the store.
        """
        spider = make_spider(
            self._spider_of(spec), spec.parameters, self._settings, self._trusts_tasks
        )
        if kept is not None:
            look_for_callbacks(kept, spider)
        made: Sink = sink(spider) if callable(sink) else sink
        spider.pipelines = (*spider.pipelines, *self._pipelines(spider))
        crawl = Crawl(spec.name, spider, made, self._shared, kept)
        self._crawls.add(crawl)
        self.statistics.watch(crawl)
        return crawl

    def _spider_of(self, spec: Spec) -> type[Spider]:
        spider_class = self._spiders.get(spec.spider_name)
        if spider_class is None:
            has = ", ".join(sorted(self._spiders)) or "none"
            raise NotFound(f"no spider {spec.spider_name!r} here; this worker has: {has}")
        return spider_class
