"""The crawl by this engine.

    python -m bench.contenders.ours class|declared|fetch URL ITEMS

`class` is the spider of the comparison, `declared` the same as data, `fetch` has callbacks that do
nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.contenders.common import SPIDER, pin, tell
from bench.pages import PAGES
from crawler.runtime import prepare

prepare()

from crawler import Request, Response, Spider  # noqa: E402  # after what it may not precede
from crawler.engine.engine import Engine  # noqa: E402
from crawler.engine.items.sinks.json_lines import JsonLinesSink  # noqa: E402
from crawler.engine.spiders.declarative import compile_declaration  # noqa: E402
from crawler.model.records import Spec  # noqa: E402
from crawler.settings.crawl import CrawlSettings  # noqa: E402


class Fetching(Spider):
    """Knows every URL from the first page on."""

    name = "fetch"

    def parse(self, response: Response) -> Iterator[Any]:
        """A request for each of the other pages."""
        for number in range(1, PAGES):
            yield Request(response.urljoin(f"/p/{number}.html"), self.nothing)

    def nothing(self, response: Response) -> None:
        """What the page says does not matter here."""


def spider(kind: str) -> type[Spider]:
    """The spider of that kind."""
    if kind == "fetch":
        return Fetching
    if kind == "declared":
        fields = {"title": "title", "url": {"from": "url"}, "price": ".price::text"}
        return compile_declaration(
            {"name": "declared", "follow": [{"css": "a"}], "items": [{"fields": fields}]}
        )
    names: dict[str, Any] = {}
    exec(SPIDER.format(package="crawler"), names)
    return names["Following"]


def main(kind: str, base: str, items: Path) -> None:
    """Crawl the site."""
    found = spider(kind)
    settings = CrawlSettings(delay_s=0, host_concurrency=64, concurrency=64)
    engine = Engine(settings, {found.name: found}, private_targets=["127.0.0.0/8"])
    engine.start()
    spec = Spec(found.name, parameters={"start_urls": [f"{base}/p/0.html"]})
    crawl = engine.crawl(spec, JsonLinesSink(items))
    crawl.run()
    engine.stop()
    assert not crawl.counts.failures, crawl.failures_by_reason
    tell(crawl.counts.pages, crawl.counts.seconds)


if __name__ == "__main__":
    pin()
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
