"""Processes each answer of a crawl, until the request has its one end.

An answer leads to a page for a callback, a redirect, a retry, or a failure. Requests that a
callback yields go to the frontier, and items go to the item writer. A fault of one page costs only
that page: the scraper counts it, logs it, and the crawl goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from crawler.engine.crawl import verdicts
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.item_writer import ItemWriter, SinkFailed
from crawler.engine.crawl.verdicts import Failed, Page, Redirect, Retry, Verdict
from crawler.engine.frontier.disk_queue import DiskQueueFailed
from crawler.engine.frontier.frontier import Frontier, Job
from crawler.engine.http import failures, markup, urls
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.http.response import Response
from crawler.engine.spiders import callbacks
from crawler.engine.spiders.spider import Request
from crawler.engine.stats.current_callback import Called
from crawler.logs import get_logger

log = get_logger(__name__)


class Scraper:
    """Processes the answers of one crawl, in the crawl's greenlet."""

    def __init__(self, context: CrawlContext, frontier: Frontier, item_writer: ItemWriter) -> None:
        self._context = context
        self._task = context.task
        self._spider = context.spider
        self._settings = context.settings
        self._clock = context.clock
        self._counters = context.counters
        self._frontier = frontier
        self._item_writer = item_writer

    def refuse(self, job: Job, error: FetchError | None) -> None:
        """End a request that is not sent. Without an error, robots.txt forbids it."""
        if error is not None:
            self.follow(job, error)
        else:
            self._counters.filter("robots")
            self._tell_errback(job, failures.IgnoreRequest("robots.txt does not allow it"))

    def follow(self, job: Job, result: FetchAnswer | FetchError) -> None:
        """Process the result of a request."""
        verdict = verdicts.decide(
            job,
            result,
            self._settings,
            self._clock.time_ns() / 1e9,
            self._spider.handle_httpstatus_list,
        )
        self._carry_out(job, verdict)

    def _carry_out(self, job: Job, verdict: Verdict) -> None:
        match verdict:
            case Page():
                self._read(job, verdict)
            case Retry():
                self._counters.retries += 1
                log.debug("request is retried", url=urls.shown(job.url), reason=verdict.reason)
                self._frontier.retry(job, self._clock.monotonic() + verdict.pause_s)
            case Redirect():
                self._counters.redirects += 1
                self._count_refusal(
                    self._frontier.admit_hop(job, verdict.url, verdict.method, verdict.body)
                )
            case Failed():
                self._fail(job, verdict)

    def _read(self, job: Job, page: Page) -> None:
        """Follow what the page's markup asks for, or else give the page to its callback."""
        settings = self._settings
        response = self._response(job, page)
        elsewhere = markup.refresh(response) if settings.meta_refresh else None
        if elsewhere is not None:
            return self._carry_out(job, verdicts.hop(job, elsewhere, "GET", None, settings))
        known_as = markup.canonical(response) if settings.canonical else None
        if known_as is not None and not self._frontier.claim(known_as):
            return self._counters.filter("canonical")
        self._counters.pages += 1
        self._collect(job, "callback", lambda: self._outputs(response))

    def _response(self, job: Job, page: Page) -> Response:
        _note(job)
        flags = ("cached",) if page.cached else ()
        return Response(
            job.url,
            page.status,
            page.headers,
            page.body,
            job.request,
            flags,
            page.address or None,
            page.headers.protocol or None,
        )

    def _tell_errback(self, job: Job, error: Exception) -> None:
        if job.request.errback is not None:
            told = failures.Failure(error, job.request)
            self._collect(job, "errback", lambda: callbacks.given_by_errback(self._spider, told))

    def _collect(self, job: Job, where: str, outputs: Callable[[], Iterable[Any]]) -> None:
        """Take what a callback yields. If it raises, log and count that; only its page is lost."""
        depth, url = job.depth + 1, job.url
        close_conditions, current = self._context.close_conditions, self._context.current_callback
        current.now = called = Called(self._task, self._spider, self._counters, job, where)
        try:
            for output in outputs():
                self.take(output, depth, url)
                self._context.time_slice.give_way()
                if close_conditions.over:
                    return
                current.now = called
        except (SinkFailed, DiskQueueFailed):
            raise
        except failures.FAULTS as error:
            self.blame_spider(where, error, job.url)
        finally:
            current.now = None

    def _outputs(self, response: Response) -> Iterable[Any]:
        outputs = callbacks.given(self._spider, response)
        if not self._settings.nofollow:
            return outputs
        is_barred = markup.restrained(response)
        return (output for output in outputs if not self._bars(output, is_barred))

    def _bars(self, output: Any, is_barred: Callable[[str], bool]) -> bool:
        """Whether an output is a link marked `nofollow`. If so, count it as filtered."""
        if not isinstance(output, Request) or not is_barred(output.url):
            return False
        self._counters.discovered += 1
        self._counters.filter("nofollow")
        return True

    def take(self, output: Any, depth: int, url: str = "") -> None:
        """Take an output of a callback, or of `start` at depth 0. `url` is that of its page."""
        if isinstance(output, Request):
            self._counters.discovered += 1
            refusal = self._frontier.admit(output, depth)
            if refusal:
                if depth:
                    self._counters.filtered[refusal] += 1
                else:
                    self._refuse_start(refusal, output.url)
        elif callbacks.item(output) is not None:
            self._item_writer.take(output, url)
            if self._counters.items == self._settings.max_items:
                self._context.close_conditions.check()

    def _refuse_start(self, refusal: str, url: str) -> None:
        if refusal in ("scheme", "url"):
            self._counters.fail("bad url", url)  # a bad start URL is a failure, a bad link is not
        else:
            self._counters.filter(refusal)

    def _count_refusal(self, refusal: str) -> None:
        if refusal:
            self._counters.filter(refusal)

    def _fail(self, job: Job, verdict: Failed) -> None:
        self._counters.fail(verdict.reason, job.url)
        log.info(
            "page failed",
            task=self._task,
            spider=self._spider.name,
            url=urls.shown(job.url),
            reason=verdict.detail or verdict.reason,
            attempts=job.attempts + 1,
        )
        self._tell_errback(job, self._error(job, verdict))

    def _error(self, job: Job, verdict: Failed) -> Exception:
        if verdict.page is not None:
            return failures.HttpError(self._response(job, verdict.page))
        return failures.fetch_error(verdict.reason, verdict.detail)

    def blame_spider(self, where: str, error: BaseException, url: str) -> None:
        """Record an exception that the spider's code raised. CloseSpider ends the crawl."""
        if isinstance(error, failures.CloseSpider):
            self._context.close_conditions.end(error.reason)
            return
        self._counters.blame(f"{where} raised {type(error).__name__}", url)
        log.error(
            f"{where} raised; its page is lost, and the crawl goes on",
            task=self._task,
            spider=self._spider.name,
            url=urls.shown(url),
            exc_info=error,
        )


def _note(job: Job) -> None:
    """Write into `meta` how the page was fetched, for its callback."""
    meta = job.request.meta
    meta["depth"] = job.depth
    meta["download_latency"] = job.spent_s
    if job.attempts:
        meta["retry_times"] = job.attempts
    if job.hops:
        meta["redirect_urls"] = list(job.hops)
        meta["redirect_times"] = len(job.hops)
