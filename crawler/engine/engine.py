"""The engine of a worker: makes crawls of tasks, and holds what all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import gevent

from crawler.clock import Clock, SystemClock
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.crawl.dispatcher import Shared
from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.body_memory import MOST_BYTES, BodyMemory
from crawler.engine.download.curl import CurlFetcher
from crawler.engine.download.downloader import Downloader, load
from crawler.engine.download.http_cache import Cache
from crawler.engine.http import urls
from crawler.engine.http.failures import FAULTS
from crawler.engine.items.sinks.sink import Sink, SinkMaker
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots import Robots
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.registry import StatisticsRegistry
from crawler.engine.stats.slow_callbacks import SlowCallbacks
from crawler.errors import InvalidArgument, NotFound
from crawler.model.records import Spec
from crawler.settings.crawl import CrawlSettings
from crawler.settings.overrides import override
from crawler.settings.scrapy_names import of_class, translated
from crawler.supervision import OnEnd, Supervisor

RESERVED = frozenset({"name", "custom_settings", "declaration", "item_schema", "pipelines"})
"""Attributes of a spider that no parameter of a task may replace; its methods are others."""


class Engine:
    """Runs spiders. Crawls share its connections, robots rules and politeness."""

    def __init__(
        self,
        crawl_settings: CrawlSettings,
        spiders: Mapping[str, type[Spider]],
        clock: Clock | None = None,
        private_targets: Sequence[str] = (),
        plugins: Sequence[str] = (),
        most_response_bytes: int = MOST_BYTES,
        cache: Cache | None = None,
        trusts_tasks: bool = False,
    ) -> None:
        """`private_targets` are networks that may be crawled though they are not public, or `all`
        (address_policy.py); `plugins` are modules with hooks (hookspecs.py); `cache` is the HTTP
        cache of crawls that ask for one. With `trusts_tasks` the settings of a task may name code
        to run, as they come from whoever starts this process. Raises ConfigError for what is no
        network and no plugin."""
        self._trusts_tasks = trusts_tasks
        self._settings = crawl_settings
        self._spiders = dict(spiders)
        self._clock = clock or SystemClock()
        self._supervisor = Supervisor("engine", clock=self._clock)
        policy = AddressPolicy(private_targets)
        self.held = BodyMemory(most_response_bytes)
        """What its crawls hold of responses."""
        curl = CurlFetcher(policy, self._clock, crawl_settings.proxies, self.held)
        brought = load(plugins)
        self._pipelines = brought.pipelines
        self._fetcher = Downloader(curl, policy, curl.resolver, brought.fetchers)
        self._crawls: WeakSet[Crawl] = WeakSet()
        self.statistics = StatisticsRegistry(self._clock)
        """The statistics of its crawls."""
        self._shared = Shared(
            fetcher=self._fetcher,
            hosts=Hosts(self._clock),
            robots=Robots(self._fetcher, self._supervisor, self._clock),
            clock=self._clock,
            cache=cache,
            held=self.held,
        )
        self._slow = SlowCallbacks(self._shared.calling)

    def start(self) -> None:
        """Be ready to fetch."""
        self._fetcher.start()
        self._slow.start()
        self._supervisor.spawn("statistics", self.statistics.log_forever, on_end=OnEnd.RESTART)

    def stop(self, deadline_s: float = 5.0) -> None:
        """Stop the crawls, wait for them, close every connection. Repeating it is harmless."""
        running = [crawl for crawl in self._crawls if crawl.running]
        for crawl in running:
            crawl.stop()
        gevent.wait([crawl.ended for crawl in running], timeout=deadline_s)
        self._supervisor.stop(deadline_s)
        self._slow.stop()
        self._fetcher.stop()
        if self._shared.cache is not None:
            self._shared.cache.close()

    def spider_names(self) -> frozenset[str]:
        """The spiders it has."""
        return frozenset(self._spiders)

    def crawl(self, spec: Spec, sink: Sink | SinkMaker) -> Crawl:
        """A crawl for a task, to be run by the caller in a greenlet of its own.

        Raises NotFound when it has no such spider, and InvalidArgument when the spider or its
        settings do not allow the task's parameters.
        """
        spider_class = self._spiders.get(spec.spider_name)
        if spider_class is None:
            has = ", ".join(sorted(self._spiders)) or "none"
            raise NotFound(f"no spider {spec.spider_name!r} here; this worker has: {has}")
        spider = self._build(spider_class, spec.parameters)
        made: Sink = sink(spider) if callable(sink) else sink
        spider.pipelines = (*spider.pipelines, *self._pipelines(spider))
        crawl = Crawl(spec.name, spider, made, self._shared)
        self._crawls.add(crawl)
        self.statistics.watch(crawl)
        return crawl

    def _build(self, spider_class: type[Spider], parameters: Mapping[str, Any]) -> Spider:
        own = override(self._settings, translated(of_class(spider_class)), "custom_settings")
        settings = override(own, parameters.get("settings", {}), "parameters.settings")
        if settings.pipelines != own.pipelines and not self._trusts_tasks:
            raise InvalidArgument(
                "parameters.settings.pipelines: not allowed, as it names code to run; "
                "allowed: in the spider's custom_settings or in the worker's settings"
            )
        given = {key: value for key, value in parameters.items() if key != "settings"}
        _check_parameters(spider_class, given)
        try:
            spider = spider_class(**given)
        except FAULTS as error:
            raise InvalidArgument(
                f"parameters: spider {spider_class.name!r} refuses {given!r}:"
                f" {type(error).__name__}: {error}"
            ) from error
        spider.settings = _with_login(settings, spider)
        if not spider_class.begins_itself() and not spider.start_urls:
            raise InvalidArgument(
                f"parameters.start_urls: spider {spider.name!r} has no start URL of its own;"
                " allowed: a list of http and https URLs"
            )
        return spider


def _with_login(settings: CrawlSettings, spider: Spider) -> CrawlSettings:
    """The settings with the attributes of a spider by which Scrapy logs in."""
    names = {
        "http_user": "http_user",
        "http_pass": "http_password",
        "http_auth_domain": "http_auth_domain",
    }
    given = {names[name]: getattr(spider, name, None) for name in names}
    return replace(settings, **{name: text for name, text in given.items() if text})


def _check_parameters(spider_class: type[Spider], given: dict[str, Any]) -> None:
    """Raise InvalidArgument for what a spider cannot take; texts become lists of one."""
    for key in given:
        if key in RESERVED or key.startswith("_") or callable(getattr(spider_class, key, None)):
            raise InvalidArgument(
                f"parameters.{key}: not allowed, the spider needs that name itself;"
                " allowed: any other name"
            )
    if "start_urls" in given:
        given["start_urls"] = _texts("start_urls", given["start_urls"], "an http or https URL")
        for url in given["start_urls"]:
            if not urls.is_web(url):
                raise InvalidArgument(
                    f"parameters.start_urls: {url!r} is not allowed; allowed: an http or https URL"
                )
    if "allowed_domains" in given:
        given["allowed_domains"] = _texts(
            "allowed_domains", given["allowed_domains"], "the name of a host"
        )


def _texts(key: str, value: Any, what: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if isinstance(values, Sequence) and all(isinstance(each, str) for each in values):
        return list(values)
    raise InvalidArgument(
        f"parameters.{key}: {value!r} is not allowed; allowed: a list, each {what}"
    )
