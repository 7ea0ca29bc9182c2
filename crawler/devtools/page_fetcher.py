"""Fetches single pages like a crawl of a spider does: with its settings, cookies and policies.

One crawl fetches all of them. Its callback passes each page on, and waits for the next request.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gevent import Greenlet
from gevent.queue import Queue

from crawler.engine.crawl.crawl import Crawl
from crawler.engine.engine import Engine
from crawler.engine.http.failures import Failure
from crawler.engine.http.request import Request
from crawler.engine.http.response import Response
from crawler.engine.items.sinks.many import ManySinks
from crawler.engine.spiders.spider import Spider
from crawler.errors import CrawlerError
from crawler.model.records import Spec
from crawler.supervision import Supervisor

FREE = {"max_depth": 0, "slow_callback_s": 0}
"""Settings without which the pages of a session would count against each other. And the callback
here waits for the next request: what computes meanwhile is code of the person, not a callback."""
PATIENCE_S = 1.0
"""The seconds that the crawl may take to end."""


class NoPage(CrawlerError):
    """A request has no page. The message says why."""

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.failure = failure


class Pages:
    """Fetches pages for one spider, which must not crawl by itself."""

    def __init__(self, engine: Engine, spec: Spec, any_status: bool = False) -> None:
        """`engine` has a spider made by `by_hand`. With `any_status`, errors are pages too."""
        settings = {**spec.parameters.get("settings", {}), **FREE}
        self._engine = engine
        self._spec = Spec(spec.name, parameters={**spec.parameters, "settings": settings})
        self._any_status = any_status
        self._supervisor = Supervisor("by hand")
        self._wanted: Queue[Request | None] = Queue()
        self._found: Queue[Response | NoPage] = Queue()
        self._running: Greenlet | None = None
        self._crawl = self._new_crawl()
        self._used = False

    @property
    def spider(self) -> Any:
        """The spider. Its callbacks may be called."""
        return self._crawl.spider

    def get(self, request: Request) -> Response:
        """Fetch a page. Raises NoPage. Its `request` is the one given, also after redirects."""
        asked = request.replace(
            callback="by_hand_page", errback="by_hand_failure", cb_kwargs={}, dont_filter=True
        )
        if self._any_status:
            asked.meta["handle_httpstatus_all"] = True
        self._wanted.put(asked)
        if self._running is None:
            self._begin()
        found: Response | NoPage = self._found.get()
        if isinstance(found, NoPage):
            raise found
        found.request = request.replace(meta=found.meta)
        return found

    def interrupt(self) -> None:
        """Give up the page that `get` waits for. May be called from a signal handler."""
        self._crawl.stop()

    def close(self) -> None:
        """End the crawl."""
        self._wanted.put(None)
        self._crawl.stop()
        if self._running is not None:
            self._running.join(PATIENCE_S)
        self._supervisor.stop()

    def handed_over(self, result: Response | Failure) -> Iterator[Request]:
        """Pass the result of a request on, and yield the next request. Runs in the crawl."""
        if isinstance(result, Failure):
            self._found.put(NoPage(f"{result.request.url}: {result.getErrorMessage()}", result))
        else:
            self._found.put(result)
        yield from self.next_request()

    def next_request(self) -> Iterator[Request]:
        """Wait for the next request. Yields nothing when the session is over."""
        request = self._wanted.get()
        if request is not None:
            yield request

    def _new_crawl(self) -> Crawl:
        crawl = self._engine.crawl(self._spec, ManySinks([]))
        spider: Any = crawl.spider
        spider.by_hand = self
        return crawl

    def _begin(self) -> None:
        if self._used:
            self._crawl = self._new_crawl()
        self._used = True
        self._running = self._supervisor.spawn("crawl", self._run, self._crawl)

    def _run(self, crawl: Crawl) -> None:
        """Run the crawl. If it ends by itself, it has refused the request."""
        crawl.run()
        self._running = None
        refused = ", ".join(crawl.filtered)
        self._found.put(NoPage(crawl.outcome()[1] or refused or "interrupted"))


def by_hand(spider: type[Spider]) -> type[Spider]:
    """A subclass of the spider that fetches only what `Pages` asks for."""
    members: dict[str, Any] = {"start": _start, "by_hand_page": _page, "by_hand_failure": _page}
    members["allowed_domains"] = ()  # people who ask for a page want that page
    return type(spider.__name__, (spider,), members)


def _start(spider: Any) -> Iterator[Request]:
    pages: Pages = spider.by_hand
    return pages.next_request()


def _page(spider: Any, result: Response | Failure) -> Iterator[Request]:
    pages: Pages = spider.by_hand
    return pages.handed_over(result)
