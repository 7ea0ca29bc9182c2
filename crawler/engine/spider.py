"""What a spider is: a class with start URLs and callbacks that yield items and requests.

Names and shapes are Scrapy's, so that a spider written for one reads like one for the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.crawl_settings import CrawlSettings
from crawler.engine.request import Request
from crawler.logs import Logger, get_logger

if TYPE_CHECKING:
    from crawler.engine.response import Response

__all__ = ["Request", "Spider"]


class Spider:
    """The base of all spiders. The parameters of the task become attributes of the instance."""

    name: str = ""
    """Under this name tasks ask for the spider; a class without one is only a base of others."""
    start_urls: Sequence[str] = ()
    """Where the crawl begins; the task parameter of that name takes its place."""
    allowed_domains: Sequence[str] = ()
    """Links that lead to other hosts than these and those below them are dropped; empty: none."""
    custom_settings: ClassVar[Mapping[str, Any]] = {}
    """Fields of the crawl settings that this spider has otherwise."""
    settings: CrawlSettings
    """The settings in force: the worker's, the spider's own, the task's. Set before `start`."""

    def __init__(self, **parameters: Any) -> None:
        for key, value in parameters.items():
            setattr(self, key, value)

    @property
    def logger(self) -> Logger:
        """Writes log lines under the spider's name."""
        return get_logger(f"crawler.spider.{self.name}")

    def start(self) -> Iterable[Any]:
        """The first requests: one for each start URL, unless a subclass has it otherwise."""
        start_urls = [self.start_urls] if isinstance(self.start_urls, str) else self.start_urls
        for url in start_urls:
            yield Request(url)

    def parse(self, response: Response) -> Any:
        """The callback of requests that name no other; yields items and further requests."""
        raise NotImplementedError(f"spider {self.name!r} has no method parse")
