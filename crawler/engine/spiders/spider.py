"""The base class of spiders: start URLs, and callbacks that yield items and requests.

Names and shapes are Scrapy's, so a spider for one looks like a spider for the other.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from crawler.coroutines import Both
from crawler.engine.http.request import Request
from crawler.settings.crawl import CrawlSettings

if TYPE_CHECKING:
    from crawler.engine.http.response import Response

__all__ = ["Request", "Spider"]

_CONTAINERS = (list, dict, set)
_OTHERS = (deque, Counter, OrderedDict, defaultdict)
_LOGGING = ("exc_info", "stack_info", "stacklevel", "extra")


class SpiderLogger(logging.LoggerAdapter[logging.Logger]):
    """A standard library logger whose other keyword arguments become fields: `info("x", url=…)`."""

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
    start_urls: Sequence[str] = []
    """Where the crawl begins. The task parameter of that name replaces it."""
    allowed_domains: Sequence[str] = []
    """The crawl stays on these hosts and those below them. If empty, it follows every link."""
    custom_settings: ClassVar[Mapping[str, Any]] = {}
    """Crawl settings that this spider changes, by name."""
    item_schema: Any = None
    """A marshmallow schema, or a function, that decides which items are valid: docs/items.md."""
    pipelines: Sequence[Any] = ()
    """Classes with `process_item`, or their names `module:Class`. Items pass them in this order."""
    settings: CrawlSettings
    """The worker's settings, overridden by the spider's and the task's. Set before `start`."""

    handle_httpstatus_list: Sequence[int] = []
    """HTTP statuses from 300 up that the callbacks want to see. Others go to the errback."""

    def __new__(cls, *args: Any, **parameters: Any) -> Self:
        """Make a spider with lists, dicts and sets of its own.

        A process runs many spiders of one class. What one appends to `self.start_urls` must not
        reach the others.
        """
        made = super().__new__(cls)
        for name, value in _containers(cls):
            setattr(made, name, _own(value))
        return made

    def __init__(self, name: str | None = None, **parameters: Any) -> None:
        if name is not None:
            self.name = name
        for key, value in parameters.items():
            setattr(self, key, value)

    @cached_property
    def state(self) -> dict[str, Any]:
        """A dict in which the spider may keep values between its callbacks."""
        return {}

    @property
    def logger(self) -> SpiderLogger:
        """A logger that writes lines under the spider's name."""
        return SpiderLogger(f"crawler.spider.{self.name}")

    def log(self, message: str, level: int = logging.DEBUG) -> None:
        """Write a log line under the spider's name."""
        self.logger.log(level, message)

    def start(self) -> Iterable[Any]:
        """The first requests: those of `start_requests`. A subclass may use `async def`."""
        return Both(self.start_requests())

    def start_requests(self) -> Iterable[Any]:
        """Yield one request for each start URL. Spiders for Scrapy before 2.13 override this.

        As in Scrapy, nothing filters these requests: neither `allowed_domains` nor what is known.
        """
        for url in self._listed_start_urls():
            yield Request(url, dont_filter=True)

    def _listed_start_urls(self) -> Iterable[str]:
        given: Any = self.start_urls
        is_list = isinstance(given, Iterable) and not isinstance(given, str)
        for url in given if is_list else [given]:
            if not isinstance(url, str):
                allowed = "a list, each an http or https URL"
                raise TypeError(f"start_urls: {url!r} is not allowed; allowed: {allowed}")
            yield url

    @classmethod
    def begins_itself(cls) -> bool:
        """Whether the spider makes its first requests without `start_urls`."""
        return cls.start is not Spider.start or cls.start_requests is not Spider.start_requests

    def parse(self, response: Response) -> Any:
        """The callback of requests that name none. Yields items and requests."""
        raise NotImplementedError(f"spider {self.name!r} has no method parse")

    def _parse(self, response: Response, **kwargs: Any) -> Any:
        """The callback of a request without one: `parse`, or what a base class uses instead."""
        return self.parse(response, **kwargs)

    def closed(self, reason: str) -> None:
        """Called at the end of the crawl, with `finished`, `shutdown` or CloseSpider's reason."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _containers(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """The attributes of a class that are lists, dicts or sets."""
    names = {name for base in cls.__mro__ for name in vars(base) if not name.startswith("__")}
    for name in names:
        value = inspect.getattr_static(cls, name)
        if type(value) in _CONTAINERS + _OTHERS:
            yield name, value


def _own(value: Any) -> Any:
    """A copy, with copies of the lists, dicts and sets inside."""
    if type(value) in _OTHERS:
        return copy.copy(value)
    if type(value) is dict:
        return {key: _own(each) for key, each in value.items()}
    return type(value)(map(_own, value)) if type(value) in _CONTAINERS else value
