"""Processes each answer of a crawl, until the request has its one end.

An answer leads to a page for a callback, a redirect, a retry, or a failure. The intake takes what
the callback yields. A fault of one page costs only that page: the scraper counts it, logs it, and
the crawl goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from crawler.engine.crawl import verdicts
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.intake import Intake, Source
from crawler.engine.crawl.item_writer import SinkFailed
from crawler.engine.crawl.verdicts import Failed, Page, Redirect, Retry, Verdict
from crawler.engine.frontier.disk_queue import DiskQueueFailed
from crawler.engine.frontier.frontier import Frontier, Job
from crawler.engine.frontier.no_journal import NoJournal
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.http import failures, markup, urls
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.http.referrer import Referrer
from crawler.engine.http.response import Response
from crawler.engine.politeness import robots_lines
from crawler.engine.politeness.robots_rules import agent_of
from crawler.engine.spiders import arguments, callbacks
from crawler.engine.stats.current_callback import Called
from crawler.logs import get_logger
from crawler.settings.crawl import REFERRER_POLICY

log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Scraper:
    """Processes the answers of one crawl, in the crawl's greenlet."""

    _context: CrawlContext
    _frontier: Frontier
    _intake: Intake
    _journal: NoJournal = field(default_factory=NoJournal)
    _has_told_cut: bool = False
    is_broken_off: bool = False
    """Whether the crawl was over before a callback was. Then no checkpoint is made any more."""

    def refuse(self, job: Job, error: FetchError | None) -> None:
        """End a request that is not sent. Without an error, robots.txt forbids it."""
        if error is not None:
            self.follow(job, error)
        else:
            self._journal.page = job
            self._context.counters.filter("robots", job.url)
            self._tell_errback(job, failures.IgnoreRequest("robots.txt does not allow it"))
            self._journal.ended(job)

    def follow(self, job: Job, result: FetchAnswer | FetchError) -> None:
        """Process the result of a request."""
        self._journal.page = job
        if isinstance(result, FetchAnswer) and result.is_cut:
            self._tell_cut(job)
        context = self._context
        verdict = verdicts.decide(
            job,
            result,
            context.settings,
            context.clock.time_ns() / 1e9,
            context.spider.handle_httpstatus_list,
        )
        if self._carry_out(job, verdict):
            self._journal.ended(job)

    def _tell_cut(self, job: Job) -> None:
        """Log a packed page that ends too early; the first of a crawl as a warning."""
        tell = log.debug if self._has_told_cut else log.warning
        self._has_told_cut = True
        tell(
            "a packed page ends too early; it is read so far",
            **self._context.names,
            url=urls.shown(job.url),
        )

    def _carry_out(self, job: Job, verdict: Verdict) -> bool:
        """Do what follows from an answer. Returns whether the request has its end."""
        match verdict:
            case Page():
                return self._read(job, verdict)
            case Retry():
                self._context.counters.retries += 1
                log.debug("request is retried", url=urls.shown(job.url), reason=verdict.reason)
                self._frontier.retry(job, self._context.clock.monotonic() + verdict.pause_s)
                return False
            case Redirect():
                referrer = job.referrer and job.referrer.after(job.url, verdict.policy)
                return self._follow_redirect(job, verdict, referrer)
            case Failed():
                self._fail(job, verdict)
                return True

    def _follow_redirect(self, job: Job, to: Redirect, referrer: Referrer | None) -> bool:
        """Queue a job for its redirect's target, or count why not, and return True."""
        self._context.counters.redirects += 1
        refusal = self._frontier.admit_hop(
            job, to.url, to.method, to.body, to.received, to.changed, referrer
        )
        if refusal:
            self._context.counters.filter(refusal, to.url)
        return bool(refusal)

    def _read(self, job: Job, page: Page) -> bool:
        """Follow what the page's markup asks for, or else give the page to its callback. Returns
        whether the request has its end."""
        settings = self._context.settings
        response = self._response(job, page)
        elsewhere = self._refresh(job, page, response) if settings.meta_refresh else None
        if elsewhere is not None:
            hop = verdicts.hop(job, elsewhere, "GET", None, settings, page.headers)
            if isinstance(hop, Redirect):  # the page sends there, as a link of it would
                return self._follow_redirect(job, hop, self._referrer(job, response))
            if elsewhere != response.url:
                return self._carry_out(job, hop)
        known_as = markup.canonical(response) if settings.canonical else None
        if known_as is not None and not self._frontier.claim(known_as, job):
            self._context.counters.filter("canonical", known_as)
            return True
        self._context.counters.pages += 1
        source = self._source(job, response)
        self._collect(job, source, lambda: callbacks.given(self._context.spider, response))
        return True

    def _source(self, job: Job, response: Response) -> Source:
        settings = self._context.settings
        is_barred = self._barred_links(response) if settings.nofollow else None
        referrer = self._referrer(job, response)
        return Source(job.url, job.depth + 1, "callback", is_barred, referrer)

    def _referrer(self, job: Job, response: Response) -> Referrer:
        """What requests of a page tell about it."""
        policy = self._context.settings.referrer_policy
        if policy == REFERRER_POLICY:
            policy = markup.referrer_policy(response) or policy
        return Referrer(job.url, policy)

    def _barred_links(self, response: Response) -> Callable[[str], bool]:
        """Say which links of a page are marked `nofollow` for this crawl's robot."""
        return markup.restrained(response, robots_lines.token(agent_of(self._context.settings)))

    def _refresh(self, job: Job, page: Page, response: Response) -> str | None:
        """Where the page's markup leads. A page that reloads itself is read again only if it has
        just set a cookie of a new name: many pages that keep themselves up to date count in one."""
        settings = self._context.settings
        return markup.refresh(
            response, lambda: verdicts.names_new_cookie(job, page.headers, settings)
        )

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
            source = Source(job.url, job.depth + 1, "errback")
            spider = self._context.spider
            self._collect(job, source, lambda: callbacks.given_by_errback(spider, told))

    def _collect(self, job: Job, source: Source, outputs: Callable[[], Iterable[Any]]) -> None:
        """Take what a callback yields. If it raises, log and count that; only its page is lost."""
        context, where = self._context, source.where
        current = context.current_callback
        current.now = called = Called(context.task, context.spider, context.counters, job, where)
        try:
            self._take(outputs(), source, called)
        except (SinkFailed, DiskQueueFailed, StoreFailed):
            raise
        except failures.FAULTS as error:
            current.failed(context.task, error)
            self.blame_spider(where, error, job.url)
        finally:
            current.now = None

    def _take(self, outputs: Iterable[Any], source: Source, called: Called) -> None:
        """Take outputs until the crawl is over. A page is spoilt if none of them can be used."""
        is_used, fault = False, ""
        take, time_slice = self._intake.take, self._context.time_slice
        close_conditions, current = self._context.close_conditions, self._context.current_callback
        for output in outputs:
            unusable = take(output, source)
            if unusable:
                fault = fault or unusable
            elif output is not None:
                is_used = True
            if time_slice.is_over:
                current.now = None  # what others do meanwhile is not this callback's
                time_slice.give_way()
            if close_conditions.over and close_conditions.breaks_off:
                self.is_broken_off = True
                break
            current.now = called
        if fault and not is_used and source.where == "callback":
            self._context.counters.spoilt[fault] += 1

    def _fail(self, job: Job, verdict: Failed) -> None:
        self._context.counters.fail(verdict.reason, job.url)
        log.info(
            "page failed",
            **self._context.names,
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
        reason = f"{where} raised {type(error).__name__}"
        self._context.counters.blame(reason, url)
        if where == "callback":
            self._context.counters.spoilt[reason] += 1
        log.error(
            f"{where} raised; its page is lost, and the crawl goes on",
            **self._context.names,
            url=urls.shown(url),
            exc_info=error,
        )

    def blame_start(self, error: BaseException) -> None:
        """Record what the start of the spider raised. The requests that it yielded go on."""
        if isinstance(error, failures.CloseSpider):
            self._context.close_conditions.end(error.reason)
            return
        spider, counters = self._context.spider, self._context.counters
        said = arguments.explained(spider, error)
        counters.start_fault = said
        counters.blame(f"start raised {type(error).__name__}", f"spider {spider.name}")
        log.error(said, **self._context.names)
        log.debug("the start raised this", task=self._context.task, exc_info=error)


def _note(job: Job) -> None:
    """Write into `meta` how the page was fetched, for its callback."""
    meta = job.request.meta
    meta["depth"] = job.depth
    if not job.depth:
        meta["is_start_request"] = True
    meta["download_latency"] = job.spent_s
    if job.attempts:
        meta["retry_times"] = job.attempts
    if job.hops:
        meta["redirect_urls"] = list(job.hops)
        meta["redirect_times"] = len(job.hops)
