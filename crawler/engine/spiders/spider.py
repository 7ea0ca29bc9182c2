"""What a spider is: a class with start URLs and callbacks that yield items and requests.

Names and shapes are Scrapy's. A spider written for one reads like a spider for the other.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.coroutines import Both
from crawler.engine.http.request import Request
from crawler.settings.crawl import CrawlSettings

if TYPE_CHECKING:
    from crawler.engine.http.response import Response

__all__ = ["Request", "Spider"]

_LOGGING = ("exc_info", "stack_info", "stacklevel", "extra")


class SpiderLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger of the standard library whose keywords may also be fields: `info("x", url=…)`."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.getLogger(name))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, Any]:
        """Keep the keywords that `logging` knows; the others become fields of the line."""
        known = {key: kwargs.pop(key) for key in _LOGGING if key in kwargs}
        known.setdefault("extra", {"fields": dict(kwargs)})
        return msg, known


class Spider:
    """The base of all spiders. The parameters of the task become attributes of the instance."""

    name: str = ""
    """Tasks ask for the spider by this name. A class without a name is only a base of others."""
    start_urls: Sequence[str] = ()
    """Where the crawl begins. The task parameter of that name replaces it."""
    allowed_domains: Sequence[str] = ()
    """The crawl stays on these hosts and those below them. If empty, it follows every link."""
    custom_settings: ClassVar[Mapping[str, Any]] = {}
    """Crawl settings that this spider changes, by name."""
    item_schema: Any = None
    """A marshmallow schema, or a function, that says which items are valid; see docs/items.md."""
    pipelines: Sequence[Any] = ()
    """Classes with `process_item`, or their names `module:Class`. Items pass them in this order."""
    settings: CrawlSettings
    """The settings in force: the worker's, the spider's own, the task's. Set before `start`."""

    handle_httpstatus_list: Sequence[int] = ()
    """HTTP statuses from 300 up that the callbacks want to see. Other errors go to the errback."""

    def __init__(self, name: str | None = None, **parameters: Any) -> None:
        if name is not None:
            self.name = name
        for key, value in parameters.items():
            setattr(self, key, value)

    @cached_property
    def state(self) -> dict[str, Any]:
        """Where the spider may keep values between its callbacks."""
        return {}

    @property
    def logger(self) -> SpiderLogger:
        """Writes log lines under the spider's name."""
        return SpiderLogger(f"crawler.spider.{self.name}")

    def log(self, message: str, level: int = logging.DEBUG) -> None:
        """Write a log line under the spider's name."""
        self.logger.log(level, message)

    def start(self) -> Iterable[Any]:
        """The first requests, which are those of `start_requests`. A subclass may make it `async
        def`."""
        return Both(self.start_requests())

    def start_requests(self) -> Iterable[Any]:
        """One request for each start URL. Spiders from before Scrapy 2.13 override this."""
        start_urls = [self.start_urls] if isinstance(self.start_urls, str) else self.start_urls
        for url in start_urls:
            yield Request(url)

    @classmethod
    def begins_itself(cls) -> bool:
        """Whether the spider makes its first requests without `start_urls`."""
        return cls.start is not Spider.start or cls.start_requests is not Spider.start_requests

    def parse(self, response: Response) -> Any:
        """The callback of requests that name none. It yields items and further requests."""
        raise NotImplementedError(f"spider {self.name!r} has no method parse")

    def _parse(self, response: Response, **kwargs: Any) -> Any:
        """What a request without a callback gets: `parse`, or what a base class has instead."""
        return self.parse(response, **kwargs)

    def closed(self, reason: str) -> None:
        """Called when the crawl has ended, with `finished`, `shutdown`, or the reason of
        CloseSpider."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
