"""Takes what a spider yields: requests go to the frontier, and items go to the item writer.

An output that nobody can use costs only itself. The intake counts it, and logs it with its page and
with what is allowed. What comes after it is taken as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.item_writer import ItemWriter, SinkFailed
from crawler.engine.frontier.disk_queue import DiskQueueFailed
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.http import meta, urls
from crawler.engine.http.failures import FAULTS
from crawler.engine.http.referrer import Referrer
from crawler.engine.http.request import Request
from crawler.engine.spiders import callbacks
from crawler.engine.spiders.callbacks import BadOutput
from crawler.logs import get_logger
from crawler.settings.crawl import REFERRER_POLICY

log = get_logger(__name__)

_REFUSALS = {
    "scheme": "allowed: http and https URLs",
    "url": "allowed: an http or https URL; response.follow and response.urljoin make one of a link",
    "offsite": "allowed: the hosts of allowed_domains",
}
"""What to say about a request that is not sent."""


@dataclass(slots=True)
class Source:
    """Where outputs come from: the callback of a page, or the start of the spider. Do not change
    it (`FetchAnswer` says why it is not frozen)."""

    url: str = ""
    """The URL of the page. Empty at the start."""
    depth: int = 0
    """The depth of the requests that are yielded."""
    where: str = "start"
    """`start`, `callback` or `errback`."""
    is_barred: Callable[[str], bool] | None = None
    """Says of each URL whether the page marks its links as `nofollow`."""
    referrer: Referrer | None = None
    """The page, for those that its links lead to."""


START = Source()


@dataclass(eq=False, slots=True)
class Intake:
    """Takes the outputs of one crawl, in the crawl's greenlet."""

    _context: CrawlContext
    _frontier: Frontier
    _item_writer: ItemWriter
    _told: set[str] = field(default_factory=set)
    """The refusals and keys of `meta` that were logged."""

    def take(self, output: Any, source: Source) -> str:
        """Take an output. Return the reason if it cannot be used, and else an empty text.

        Raises SinkFailed, DiskQueueFailed and StoreFailed.
        """
        try:
            if isinstance(output, Request):
                self._request(output, source)
            elif callbacks.item(output) is not None:
                self._item(output, source)
        except (SinkFailed, DiskQueueFailed, StoreFailed, MemoryError):
            raise
        except FAULTS as error:  # an output may be of any class, and its methods may raise
            return self._blame(output, error, source)
        return ""

    def _item(self, item: Any, source: Source) -> None:
        self._item_writer.take(item, source.url)
        if self._context.counters.items == self._context.settings.max_items:
            self._context.close_conditions.check()

    def _request(self, request: Request, source: Source) -> None:
        counters = self._context.counters
        callbacks.check_request(self._context.spider, request)
        counters.discovered += 1
        if source.is_barred is not None and _is_barred(request.url, source.is_barred):
            refusal = "nofollow"
        else:
            referrer = source.referrer
            if request.link_policy and referrer is not None:
                referrer = self._of_link(referrer, request.link_policy)
            refusal = self._frontier.admit(request, source.depth, referrer)
        if refusal == "duplicate":  # as most links of a page are
            counters.filter(refusal, request.url)
            return
        if request.has_meta:
            self._name_unsupported(request)
        if refusal:
            self._count(refusal, request, source)

    def _of_link(self, page: Referrer, policy: str) -> Referrer:
        """The page under the policy of its link, which counts under the usual setting alone."""
        is_usual = self._context.settings.referrer_policy == REFERRER_POLICY
        return page.under(policy) if is_usual else page

    def _count(self, refusal: str, request: Request, source: Source) -> None:
        """Count a request that is not sent. A bad start URL is a failure, a bad link is not."""
        if not source.depth and refusal in ("scheme", "url"):
            self._context.counters.fail("bad url", request.url)
        else:
            self._context.counters.filter(refusal, request.url)
        if refusal == "url" or not source.depth:
            self._tell(refusal, request, source)

    def _tell(self, refusal: str, request: Request, source: Source) -> None:
        """Log a request that is not sent; the first for each reason as a warning."""
        tell = log.debug if refusal in self._told else log.warning
        self._told.add(refusal)
        tell(
            "a request is not sent",
            **self._context.names,
            page=urls.shown(source.url) or source.where,
            url=urls.shown(request.url),
            reason=f"{refusal}; {_REFUSALS.get(refusal, 'see docs/spiders.md')}",
        )

    def _name_unsupported(self, request: Request) -> None:
        """Warn of each key of Scrapy's `meta` that has no effect here, once in a crawl."""
        for key in request.meta:
            if key in meta.UNSUPPORTED and key not in self._told:
                self._told.add(key)
                log.warning(
                    f"meta[{key!r}] has no effect: {meta.UNSUPPORTED[key]}",
                    **self._context.names,
                )

    def _blame(self, output: Any, error: BaseException, source: Source) -> str:
        kind = type(output).__name__
        what = f"a bad {kind}" if isinstance(output, Request) else kind
        reason = f"{source.where} yielded {what}"
        self._context.counters.blame(reason, source.url or self._context.spider.name)
        said = str(error) if isinstance(error, BadOutput) else f"{type(error).__name__}: {error}"
        log.error(
            f"{source.where} yielded what cannot be used; only that is lost, and the page goes on",
            **self._context.names,
            page=urls.shown(source.url) or source.where,
            error=said,
        )
        return reason


def _is_barred(url: str, bars: Callable[[str], bool]) -> bool:
    try:
        return bars(urls.safe(url))
    except ValueError:
        return False  # the frontier refuses it
