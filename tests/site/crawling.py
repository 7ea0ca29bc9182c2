"""Runs real crawls of the site with a real engine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent

from crawler import Request, Response, Spider
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.download.address_policy import ALL
from crawler.engine.download.http_cache import Cache
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.json_lines import JsonLinesSink
from crawler.engine.items.sinks.sink import Sink
from crawler.model.records import Spec
from crawler.model.statistics import Statistics
from crawler.settings.crawl import CrawlSettings
from tests.waiting import PATIENCE_S

HASTE = {
    "delay_s": 0.0,
    "throttle_s": 0.0,
    "retry_delay_s": 0.01,
    "timeout_s": 30.0,
    "robots": False,
}
"""Settings with which the tests do not wait for politeness, unless they test it."""


class Titles(Spider):
    """Follows every link and tells the title of each page."""

    name = "titles"

    def parse(self, response: Response) -> Iterator[Any]:
        yield {"url": response.url, "title": response.css("title::text").get()}
        yield from response.follow_all(css="a")


class OnlyTitles(Titles):
    """Follows nothing."""

    name = "only-titles"

    def start(self) -> Iterator[Request]:
        for url in self.start_urls:
            yield Request(url, self.parse_title)

    def parse_title(self, response: Response) -> Iterator[Any]:
        yield {"url": response.url, "title": response.css("title::text").get()}


class ListSink:
    """Keeps the items in memory."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.lost: Counter[str] = Counter()

    def open(self) -> None:
        pass

    def write(self, item: Any, url: str = "") -> None:
        self.items.append(item)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


@contextmanager
def running_engine(
    *spiders: type[Spider],
    private_targets: Sequence[str] = (ALL,),
    plugins: Sequence[str] = (),
    stored: Cache | None = None,
    **settings: Any,
) -> Iterator[Engine]:
    """An engine that has started, with the two spiders above and others."""
    known = {spider.name: spider for spider in (Titles, OnlyTitles, *spiders)}
    crawl_settings = CrawlSettings(**{**HASTE, **settings})
    engine = Engine(
        crawl_settings, known, private_targets=private_targets, plugins=plugins, cache=stored
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def crawled(
    spider: type[Spider], *start_urls: str, within_s: float = 2 * PATIENCE_S, **settings: Any
) -> tuple[Crawl, list[Any]]:
    """A crawl that has run to its end, and its items."""
    sink = ListSink()
    with running_engine(spider, **settings) as engine:
        crawl = engine.crawl(spec(spider, *start_urls), sink)
        run(crawl, within_s)
    return crawl, sink.items


def spec(spider: type[Spider], *start_urls: str, settings: Mapping[str, Any] | None = None) -> Spec:
    parameters: dict[str, Any] = {"start_urls": list(start_urls)} if start_urls else {}
    if settings:
        parameters["settings"] = settings
    return Spec(spider.name, parameters=parameters)


def run(crawl: Crawl, within_s: float = 2 * PATIENCE_S) -> None:
    """Run a crawl to its end; fails when it does not end in that time."""
    with gevent.Timeout(within_s, AssertionError(f"the crawl did not end within {within_s} s")):
        crawl.run()


def adds_up(crawl: Crawl) -> Statistics:
    """What a crawl tells of itself; fails unless each URL ended in one way, or is still to come."""
    found = crawl.statistics
    failed = sum(n for reason, n in found.failures.items() if " raised " not in reason)
    assert found.discovered == (
        found.pages + sum(found.filtered.values()) + failed + found.pending
    ), found
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def file_sink(path: Path) -> Sink:
    return JsonLinesSink(path)
