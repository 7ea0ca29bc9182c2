"""What a spider is: a class with start URLs and callbacks that yield items and requests.

Names and shapes are Scrapy's, so that a spider written for one reads like one for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.crawl_settings import CrawlSettings
from crawler.logs import Logger, get_logger

if TYPE_CHECKING:
    from crawler.engine.response import Response

Callback = Callable[..., Any]


class Request:
    """A page to fetch, and the callback that gets its response.

    `callback` is a method of the spider or its name; without one it is `parse`. Of two requests
    that wait for the same host, the one with the higher `priority` goes first. A request equal to
    an earlier one (canonical URL, method, body) is dropped unless it says `dont_filter`.
    """

    __slots__ = (
        "body",
        "callback",
        "cb_kwargs",
        "dont_filter",
        "headers",
        "meta",
        "method",
        "priority",
        "url",
    )

    def __init__(
        self,
        url: str,
        callback: Callback | str | None = None,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        meta: Mapping[str, Any] | None = None,
        cb_kwargs: Mapping[str, Any] | None = None,
        priority: int = 0,
        dont_filter: bool = False,
    ) -> None:
        if not isinstance(url, str):
            raise TypeError(f"the url of a Request is a str, got {type(url).__name__}")
        self.url = url
        self.callback = callback
        self.method = method.upper()
        self.headers = headers
        self.body = body.encode() if isinstance(body, str) else body
        self.meta = dict(meta) if meta else {}
        self.cb_kwargs = cb_kwargs
        self.priority = priority
        self.dont_filter = dont_filter

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url}>"


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
