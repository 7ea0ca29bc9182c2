"""One task while it runs: start requests, answers to callbacks, items to the sink, an outcome.

All of it happens in the greenlet that calls `run`; only arriving answers and freed turns are noted
from the hub. A fault of a page costs that page: it is counted and logged, and the crawl goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from gevent.event import Event

from crawler.engine import answers, failure, markup, meta, parse
from crawler.engine.answers import Again, Failure, Hop, Page, Verdict
from crawler.engine.bounds import Bounds
from crawler.engine.dispatch import Dispatcher, Shared
from crawler.engine.exchange import Answer, FetchError
from crawler.engine.frontier import Frontier, Job, SiteQueue
from crawler.engine.outlet import Outlet, SinkFailed
from crawler.engine.pace import Pace
from crawler.engine.response import Response
from crawler.engine.sinks.sink import Sink
from crawler.engine.spider import Request, Spider
from crawler.engine.spill import SpillFailed
from crawler.engine.stats import Statistics, Stats
from crawler.engine.tally import Tally
from crawler.logs import get_logger
from crawler.records import Counts, State

log = get_logger(__name__)

START_AHEAD = 1000
"""So many start requests wait in the frontier; the rest stays in the spider's iterator."""
START_MOST = 100_000
"""So many while those that wait are for hosts whose turn has not come, and slots are free."""


class Crawl:
    """A run of a spider. `run` it once, in a greenlet of its own; `stop` it from any other."""

    def __init__(self, name: str, spider: Spider, sink: Sink, shared: Shared) -> None:
        self.name = name
        self.spider = spider
        self.ended = Event()
        """Set when `run` has done its work."""
        self.stopped = False
        """Whether the run was cut short by `stop`; its outcome says nothing then."""
        self._clock = shared.clock
        self._tally = Tally()
        self._outlet = Outlet(name, spider, sink, self._tally, shared.clock)
        self.stats = Stats(self._tally, shared.clock)
        self._woken = Event()
        self._pace = Pace(shared.clock)
        self._frontier = Frontier(
            spider.settings,
            self._clock.monotonic,
            spider.allowed_domains,
            self._woken.set,
            spider,
        )
        self._dispatcher = Dispatcher(
            spider.settings, self._frontier, shared, self._woken, self._refuse
        )
        self._start: Iterator[Any] | None = None
        self._bounds = Bounds(spider.settings, self._tally, self._clock)
        self._closing = ""
        """The reason for which a callback ended the crawl."""

    @property
    def running(self) -> bool:
        """Whether `run` has begun and not ended."""
        return self.stats.begun and not self.ended.is_set()

    @property
    def counts(self) -> Counts:
        """What the run has done so far; live."""
        return self._tally.counts(self.stats.seconds)

    @property
    def statistics(self) -> Statistics:
        """All that is known of the run so far; live."""
        pending = len(self._frontier) + self._dispatcher.under_way
        resting = self._dispatcher.resting()
        return self.stats.shown(
            self.name, self.spider.name, pending, self._finish_reason(), resting
        )

    @property
    def failures_by_reason(self) -> dict[str, int]:
        """How often each reason made a URL or a callback fail, `HTTP 404` say."""
        return dict(self._tally.failures_by_reason)

    @property
    def filtered(self) -> dict[str, int]:
        """How many requests were not sent, by reason: duplicate, depth, offsite, robots, …"""
        return dict(self._tally.filtered)

    def outcome(self) -> tuple[State, str]:
        """How the run ended: DONE, or FAILED with a reason for people."""
        return self._tally.outcome()

    @property
    def _over(self) -> bool:
        return self.stopped or bool(self._closing)

    def stop(self) -> None:
        """Have `run` return soon: what is in flight is broken off, items so far are written."""
        if not self.ended.is_set():
            self.stopped = True
            self._woken.set()

    def run(self) -> None:
        """Crawl until nothing is left to fetch; raises nothing for what goes wrong on the way."""
        self.stats.begin()
        log.info("crawl starts", task=self.name, spider=self.spider.name)
        finished = False
        try:
            self._guarded(self._crawl)
            finished = True
        finally:
            self.stopped = self.stopped or not finished
            self._dispatcher.abort()
            self._frontier.close()
            self._close_spider()
            self._guarded(self._outlet.close)
            self.stats.end()
            self.ended.set()
            self._log_end()

    def _guarded(self, step: Callable[[], None]) -> None:
        """Whatever ends the crawl as a whole becomes its fault, for `outcome`."""
        try:
            step()
        except SpillFailed as error:
            self._tally.fault = str(error)
        except (SinkFailed, OSError) as error:
            self._tally.fault = self._tally.fault or f"items could not be written: {error}"
        except Exception as error:
            self._tally.fault = f"the crawl broke: {type(error).__name__}: {error}"
            log.error("crawl breaks", task=self.name, spider=self.spider.name, exc_info=True)

    def _crawl(self) -> None:
        self._outlet.open()
        self._start = self._starting()
        self._pace.begin()
        self._bounds.begin()
        while not self._over:
            self._woken.clear()
            self._pull_start()
            self._dispatcher.dispatch(self._pace)
            self._settle_arrived()
            self._outlet.flush_if_due()
            self._check_bounds()
            if self._is_idle():
                return
            self._wait()

    def _starting(self) -> Iterator[Any]:
        yield from parse.checked(self.spider.start())

    def _pull_start(self) -> None:
        while self._start is not None and not self._over and self._is_hungry():
            try:
                output = next(self._start)
            except StopIteration:
                self._start = None
            except Exception as error:
                self._start = None
                self._blame_spider("start", error, f"spider {self.spider.name}")
            else:
                self._take(output, depth=0)
            self._pace.breathe()

    def _settle_arrived(self) -> None:
        arrived = self._dispatcher.arrived
        while arrived and not self._over:
            self._settle(*arrived.popleft())
            self._dispatcher.dispatch(self._pace)
            self._pace.breathe()

    def _check_bounds(self) -> None:
        self._closing = self._closing or self._bounds.reached()

    def _is_idle(self) -> bool:
        busy = self._dispatcher.busy or len(self._frontier)
        return not busy and self._start is None

    def _is_hungry(self) -> bool:
        """Whether more start requests are wanted: too few wait, or too few that may be sent."""
        waiting = len(self._frontier)
        return waiting < START_AHEAD or (waiting < START_MOST and self._dispatcher.is_hungry)

    def _wait(self) -> None:
        """Wait until an answer arrives or something is due."""
        if self._dispatcher.arrived or (self._start and self._is_hungry()):
            return
        next_s = min(self._outlet.flush_s, self._dispatcher.next_s(), self._bounds.deadline_s)
        timeout_s = max(0.0, next_s - self._clock.monotonic())
        self._clock.wait(self._woken, None if next_s == math.inf else timeout_s)
        self._pace.begin()

    def _settle(self, job: Job, queue: SiteQueue, result: Answer | FetchError) -> None:
        """Deal with an answer, then free its slot."""
        job.spent_s += result.seconds
        self.stats.settled(result)
        try:
            self._follow(job, result)
        finally:
            self._dispatcher.settled(queue, result)
        self._check_bounds()

    def _refuse(self, job: Job, error: FetchError | None) -> None:
        if error is not None:
            self._follow(job, error)
        else:
            self._tally.filter("robots")
            self._tell_errback(job, failure.IgnoreRequest("robots.txt does not allow it"))

    def _follow(self, job: Job, result: Answer | FetchError) -> None:
        verdict = answers.judge(
            job,
            result,
            self.spider.settings,
            self._clock.time_ns() / 1e9,
            self.spider.handle_httpstatus_list,
        )
        self._carry_out(job, verdict)

    def _carry_out(self, job: Job, verdict: Verdict) -> None:
        match verdict:
            case Page():
                self._read(job, verdict)
            case Again():
                self.stats.retries += 1
                log.debug("page is tried again", url=job.url, reason=verdict.reason)
                self._frontier.retry(job, self._clock.monotonic() + verdict.pause_s)
            case Hop():
                self.stats.redirects += 1
                self._count_refusal(
                    self._frontier.admit_hop(job, verdict.url, verdict.method, verdict.body)
                )
            case Failure():
                self._fail(job, verdict)

    def _read(self, job: Job, page: Page) -> None:
        """Do what the page asks for in its markup, else hand it to its callback."""
        settings = self.spider.settings
        response = self._response(job, page)
        elsewhere = markup.refresh(response) if settings.meta_refresh else None
        if elsewhere is not None:
            return self._carry_out(job, answers.hop(job, elsewhere, "GET", None, settings))
        known_as = markup.canonical(response) if settings.canonical else None
        if known_as is not None and not self._frontier.claim(known_as):
            return self._tally.filter("canonical")
        self._tally.pages += 1
        self._collect(job, "callback", lambda: self._outputs(response))

    def _response(self, job: Job, page: Page) -> Response:
        meta.note(job)
        return Response(job.url, page.status, page.headers, page.body, job.request)

    def _tell_errback(self, job: Job, error: Exception) -> None:
        if job.request.errback is not None:
            told = failure.Failure(error, job.request)
            self._collect(job, "errback", lambda: parse.failure_outputs(self.spider, told))

    def _collect(self, job: Job, where: str, outputs: Callable[[], Iterator[Any]]) -> None:
        """Take what a callback yields; what it raises is told, and costs this page only."""
        try:
            for output in outputs():
                self._take(output, job.depth + 1, job.url)
                self._pace.breathe()
                if self._over:
                    return
        except (SinkFailed, SpillFailed):
            raise
        except Exception as error:
            self._blame_spider(where, error, job.url)

    def _outputs(self, response: Response) -> Iterator[Any]:
        outputs = parse.outputs(self.spider, response)
        if not self.spider.settings.nofollow:
            return outputs
        is_barred = markup.restrained(response)
        return (output for output in outputs if not self._bars(output, is_barred))

    def _bars(self, output: Any, is_barred: Callable[[str], bool]) -> bool:
        """Whether it is a link that is not for crawlers; it is counted then."""
        if not isinstance(output, Request) or not is_barred(output.url):
            return False
        self._tally.discovered += 1
        self._tally.filter("nofollow")
        return True

    def _take(self, output: Any, depth: int, url: str = "") -> None:
        if not isinstance(output, Request):
            self._outlet.take(output, url)
            if self._tally.items == self.spider.settings.max_items:
                self._check_bounds()
            return
        self._tally.discovered += 1
        refusal = self._frontier.admit(output, depth)
        if depth == 0 and refusal in ("scheme", "url"):
            self._tally.fail("bad url", output.url)  # a start that is none is no mere link
        else:
            self._count_refusal(refusal)

    def _count_refusal(self, refusal: str) -> None:
        if refusal:
            self._tally.filter(refusal)

    def _fail(self, job: Job, verdict: Failure) -> None:
        self._tally.fail(verdict.reason, job.url)
        log.info(
            "page failed",
            task=self.name,
            spider=self.spider.name,
            url=job.url,
            reason=verdict.detail or verdict.reason,
            attempts=job.attempts + 1,
        )
        self._tell_errback(job, self._error(job, verdict))

    def _error(self, job: Job, verdict: Failure) -> Exception:
        if verdict.page is not None:
            return failure.HttpError(self._response(job, verdict.page))
        return failure.fetch_error(verdict.reason, verdict.detail)

    def _blame_spider(self, where: str, error: Exception, url: str) -> None:
        if isinstance(error, failure.CloseSpider):
            self._closing = error.reason
            return
        self._tally.blame(f"{where} raised {type(error).__name__}", url)
        log.error(
            f"{where} raised: its page is lost, the crawl goes on",
            task=self.name,
            spider=self.spider.name,
            url=url,
            exc_info=error,
        )

    def _close_spider(self) -> None:
        reason = "shutdown" if self.stopped else self._closing or "finished"
        try:
            self.spider.closed(reason)
        except Exception as error:
            self._blame_spider("closed", error, f"spider {self.spider.name}")

    def _finish_reason(self) -> str:
        if not self.ended.is_set():
            return ""
        return "stopped" if self.stopped else self.outcome()[1] or self._closing or "finished"

    def _log_end(self) -> None:
        state, _ = self.outcome()
        log.info(
            "crawl ends",
            state="stopped" if self.stopped else state.value,
            **self.statistics.to_json(),
        )
