"""One running task: it sends the start requests, gives answers to callbacks, and writes items.

All of this happens in the greenlet that calls `run`. The hub only notes that an answer arrived or
that a host is free. A fault of one page costs only that page: the crawl counts it, logs it, and
goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gevent.event import Event

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.dispatcher import Dispatcher
from crawler.engine.crawl.intake import START, Intake
from crawler.engine.crawl.item_writer import ItemWriter, SinkFailed
from crawler.engine.crawl.keeping import checkpoints_of, frontier_of, journal_of
from crawler.engine.crawl.kept import FINISH_S, Kept
from crawler.engine.crawl.scraper import Scraper
from crawler.engine.crawl.shared import Shared
from crawler.engine.frontier.disk_queue import DiskQueueFailed
from crawler.engine.frontier.frontier import Job, SiteQueue
from crawler.engine.frontier.store import StoreFailed, StoreLost
from crawler.engine.http.failures import FAULTS
from crawler.engine.http.messages import FetchAnswer, FetchError
from crawler.engine.items.sinks.faults import why_unwritten
from crawler.engine.items.sinks.sink import Sink
from crawler.engine.spiders import callbacks
from crawler.engine.spiders.spider import Spider
from crawler.engine.stats.current_callback import Called
from crawler.engine.stats.outcome import outcome_of, outcome_of_part
from crawler.logs import get_logger
from crawler.model.records import NO_SHARD_COUNTS, Counts, State
from crawler.model.statistics import Statistics
from crawler.redaction import hidden, hide
from crawler.settings import live
from crawler.settings.crawl import CrawlSettings
from crawler.supervision import do_all

log = get_logger(__name__)

_TEXTS = ("finish_reason", "items_dropped", "items_failed", "failures", "filtered")
"""The statistics that quote pages, spiders and tasks."""

START_AHEAD = 1000
"""The crawl reads the spider's start requests until this many requests wait in the frontier."""
START_MOST = 100_000
"""The limit while slots are free, but all waiting requests are for hosts that are not due yet."""


class Crawl:
    """Runs a spider once. Call `run` once, in its own greenlet; call `stop` from any other."""

    def __init__(
        self, name: str, spider: Spider, sink: Sink, shared: Shared, kept: Kept | None = None
    ) -> None:
        """`kept` is a store from which the crawl goes on, and that keeps what it does."""
        self.name = name
        self.task_id = ""
        """The id of its task in a cluster."""
        self.spider = spider
        self.ended = Event()
        """Set at the end of `run`."""
        self.is_ending = False
        """Whether it fetches no more, and writes its last items. It must not be cut off then."""
        self.has_lost_steps = False
        """Whether the store has forgotten steps. The crawl has ended, and is not done: another run
        goes on from what the store has."""
        self._woken = Event()
        self._context = context = CrawlContext.of(name, spider, shared)
        self._clock = context.clock
        self.counters = context.counters
        self._close_conditions = context.close_conditions
        journal = journal_of(kept, context)
        self._frontier = frontier_of(journal, context, self._woken)
        self._item_writer = ItemWriter(context, sink)
        self._intake = Intake(context, self._frontier, self._item_writer)
        self._scraper = Scraper(context, self._frontier, self._intake, journal)
        self._dispatcher = Dispatcher(
            context, self._frontier, self._woken, self._scraper.refuse, journal
        )
        self._checkpoints = checkpoints_of(
            kept, context, self._frontier, journal, self._dispatcher, self._item_writer
        )
        self._checkpoints.wake = self._woken.set
        self._is_part = kept is not None and bool(kept.shard)
        """Whether it is a shard that only takes what others have found, and judges nothing."""
        self._close_conditions.lets_finish = kept is not None
        self._close_conditions.keeps_time = not self._is_part
        self._is_idle_at_end = False
        self._start: Iterator[Any] | None = None
        self._starts = Called(name, spider, self.counters)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to fetch, everything is written, and the crawl has not failed."""
        return self._is_idle_at_end and self.outcome()[0] is State.DONE

    @property
    def _is_void(self) -> bool:
        """Whether the crawl has failed with nothing left to fetch, and has brought nothing. Then
        the next run begins anew, because it would find nothing to do."""
        counters = self.counters
        if not self._is_idle_at_end or self.is_done or counters.fault:
            return False
        has_items = counters.items or self._close_conditions.others.items
        return not has_items and not (counters.start_fault and counters.pages)

    @property
    def running(self) -> bool:
        """Whether `run` has begun and has not ended."""
        return self.counters.timing.begun and not self.ended.is_set()

    @property
    def counts(self) -> Counts:
        """The counts of the run at this moment."""
        return self.counters.counts()

    @property
    def shard_counts(self) -> Mapping[int, Counts]:
        """What each other shard of its task has counted, if it is the head."""
        return NO_SHARD_COUNTS if self._is_part else self._checkpoints.others

    @property
    def statistics(self) -> Statistics:
        """All statistics of the run at this moment."""
        found = self.counters.statistics(
            self.name,
            self.spider.name,
            self._finish_reason(),
            self._dispatcher.cooldowns(),
            self._memory(),
            self._dispatcher.hosts(),
        )
        others = self._checkpoints
        found = replace(found, elsewhere=max(0, others.elsewhere), shards=dict(others.shards))
        told: Mapping[str, Any] = {name: hidden(getattr(found, name)) for name in _TEXTS}
        return replace(
            found,
            task_id=self.task_id,
            hosts={hide(host): load for host, load in found.hosts.items()},
            **told,
        )

    @property
    def store_bytes(self) -> int:
        """About how much room its state takes; 0 if none is kept, or nobody knows."""
        return self._checkpoints.store_bytes

    def _memory(self) -> dict[str, int]:
        kept = self.store_bytes
        return self._frontier.memory() | ({"store_bytes": kept} if kept else {})

    @property
    def failures_by_reason(self) -> dict[str, int]:
        """How many URLs and callbacks failed, by reason, for example `HTTP 404`."""
        return dict(self.counters.failures_by_reason)

    @property
    def filtered(self) -> dict[str, int]:
        """How many requests were filtered, by reason: duplicate, depth, offsite, robots, …"""
        return dict(self.counters.filtered)

    def outcome(self) -> tuple[State, str]:
        """The end of the run: DONE, or FAILED with a reason for people."""
        state, reason = self._judged()
        return state, hide(reason)

    def _judged(self) -> tuple[State, str]:
        if self._is_part:
            return outcome_of_part(self.counters)
        others = self._close_conditions.others
        no_page = self._checkpoints.no_page if self._checkpoints.is_over else ""
        return outcome_of(self.counters, self._context.settings, others, no_page)

    @property
    def stopped(self) -> bool:
        """Whether `stop` ended the run. Its outcome has no meaning then."""
        return self._close_conditions.stopped

    @property
    def can_go_on(self) -> bool:
        """Whether something else than the site has ended it, so that its state or its files are not
        whole. A later run may go on where a store has it."""
        return bool(self.counters.fault)

    @property
    def limit(self) -> str:
        """The setting that keeps any later run of this crawl from going on; empty if none does."""
        return self._close_conditions.limit

    def adjust(self, settings: CrawlSettings) -> None:
        """Take over new settings of politeness and limits while the crawl runs."""
        live.adopt(self._context.settings, settings)
        self._close_conditions.adjust()
        self._frontier.adjust()
        self._dispatcher.adjust()
        self._woken.set()
        log.info("settings changed", task=self.name)

    def stop(self) -> None:
        """Make `run` return soon: it cancels the requests in flight and writes the items so far."""
        if not self.ended.is_set():
            self._close_conditions.stop()
            self._woken.set()

    def break_off(self) -> None:
        """Stop, and do not wait for answers under way: not even with a store."""
        self.stop()
        self.stop()

    def run(self) -> None:
        """Crawl until nothing is left to fetch. It raises nothing for a fault; see `outcome`."""
        do_all(
            lambda: self._guarded(self._crawl),
            self._begin_end,
            self._dispatcher.abort,
            lambda: self._guarded(self._keep),
            self._frontier.close,
            self._close_spider,
            lambda: self._guarded(self._item_writer.close),
            lambda: self._guarded(self._close_store),
            self.counters.timing.end,
            self.ended.set,
            self._log_end,
        )

    def _begin_end(self) -> None:
        self.is_ending = True

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step. Record an error that ends the whole crawl as its fault, for `outcome`. A
        killed greenlet stops the crawl."""
        try:
            step()
        except (DiskQueueFailed, StoreFailed) as error:
            self.has_lost_steps |= isinstance(error, StoreLost)
            self.counters.fault = self.counters.fault or str(error)
        except (SinkFailed, OSError) as error:
            cause = error if isinstance(error, OSError) else error.cause
            self.counters.fault = self.counters.fault or why_unwritten(cause, self.name)
        except FAULTS as error:
            self._context.current_callback.failed(self.name, error)
            self.counters.fault = f"the crawl broke: {type(error).__name__}: {error}"
            log.error("crawl breaks", task=self.name, spider=self.spider.name, exc_info=True)
        except BaseException:
            self._scraper.is_broken_off = True
            self._close_conditions.stop()
            raise

    def _crawl(self) -> None:
        self.counters.timing.begin()
        self._context.time_slice.begin()
        self._checkpoints.begin(self._woken)
        log.info("crawl starts", task=self.name, spider=self.spider.name)
        self._item_writer.open()
        self._checkpoints.opened()
        self._start = None if self._is_part else self._starting()
        self._context.time_slice.begin()
        self._close_conditions.begin()
        while not self._close_conditions.over:
            self._woken.clear()
            self._pull_start()
            self._dispatcher.dispatch()
            self._settle_arrived()
            self._item_writer.flush_if_due()
            self._checkpoints.look()
            self._close_conditions.check()
            if self._is_idle():
                self._is_idle_at_end = True
                return
            self._wait()
        self._finish_under_way()

    def _finish_under_way(self) -> None:
        """After a stop, process the answers that are under way, so that a crawl with a store need
        not fetch them again."""
        arrived, conditions = self._dispatcher.arrived, self._close_conditions
        until_s = self._clock.monotonic() + FINISH_S
        while not conditions.breaks_off and self._clock.monotonic() < until_s:
            self._woken.clear()
            while arrived and not conditions.breaks_off:
                self._settle(*arrived.popleft())
                self._context.time_slice.give_way()
            if not self._dispatcher.in_flight:
                return
            self._clock.wait(self._woken, max(0.0, until_s - self._clock.monotonic()))

    def _keep(self) -> None:
        """Make the last checkpoint. A page that was broken off is not done, nor are its items: then
        the checkpoint before counts."""
        if not (self._scraper.is_broken_off or self.counters.fault):
            self._checkpoints.end(self.is_done)

    def _close_store(self) -> None:
        has_end = (self._is_idle_at_end or not self.stopped) and not self.can_go_on
        self._checkpoints.close(self.is_done, self._is_void, self.outcome() if has_end else None)

    def _starting(self) -> Iterator[Any]:
        yield from callbacks.many(self.spider.start())

    def _pull_start(self) -> None:
        current = self._context.current_callback
        while self._start is not None and not self._close_conditions.over and self._is_hungry():
            current.now = self._starts
            try:
                output = next(self._start)
            except StopIteration:
                self._end_start()
            except FAULTS as error:
                current.failed(self.name, error)
                self._end_start()
                self._scraper.blame_start(error)
            else:
                if not self._checkpoints.is_known_start(output):
                    self._intake.take(output, START)
            current.now = None
            self._context.time_slice.give_way()

    def _end_start(self) -> None:
        self._start, self._checkpoints.has_read_start = None, True

    def _settle_arrived(self) -> None:
        """Process answers. Send requests in between, but only once in each time slice.

        After each single answer it would take an eighth longer: reading pages and sending requests
        drive each other out of the processor's caches.
        """
        arrived, time_slice = self._dispatcher.arrived, self._context.time_slice
        while arrived and not self._close_conditions.over:
            turns = time_slice.turns
            self._settle(*arrived.popleft())
            if not arrived or time_slice.is_over or time_slice.turns > turns:
                self._checkpoints.look()
                self._dispatcher.dispatch()
                time_slice.give_way()

    def _is_idle(self) -> bool:
        busy = self._dispatcher.busy or len(self._frontier)
        return not busy and self._start is None and self._checkpoints.is_over

    def _is_hungry(self) -> bool:
        """Whether the crawl needs more start requests: too few wait, or too few may be sent."""
        if self._checkpoints.is_behind:
            return False
        waiting = len(self._frontier) + self._checkpoints.elsewhere
        return waiting < START_AHEAD or (waiting < START_MOST and self._dispatcher.is_hungry)

    def _wait(self) -> None:
        """Wait until an answer arrives or something is due."""
        if self._dispatcher.arrived or (self._start and self._is_hungry()):
            return
        next_s = min(
            self._item_writer.flush_s,
            self._checkpoints.next_s,
            self._dispatcher.next_s(),
            self._close_conditions.deadline_s,
        )
        timeout_s = max(0.0, next_s - self._clock.monotonic())
        self._clock.wait(self._woken, None if next_s == math.inf else timeout_s)
        self._context.time_slice.begin()

    def _settle(self, job: Job, queue: SiteQueue, result: FetchAnswer | FetchError) -> None:
        """Process an answer, then free its slot."""
        job.spent_s += result.seconds
        self.counters.settled(result)
        try:
            self._scraper.follow(job, result)
        finally:
            self._dispatcher.settled(queue, result)
        self._close_conditions.check()

    def _close_spider(self) -> None:
        reason = "shutdown" if self.stopped else self._close_conditions.reason or "finished"
        try:
            self.spider.closed(reason)
        except FAULTS as error:
            self._context.current_callback.failed(self.name, error)
            self._scraper.blame_spider("closed", error, f"spider {self.spider.name}")

    def _finish_reason(self) -> str:
        if not self.ended.is_set():
            return ""
        return (
            "stopped"
            if self.stopped
            else self.outcome()[1] or self._close_conditions.reason or "finished"
        )

    def _log_end(self) -> None:
        state, _ = self.outcome()
        told = replace(self.statistics, shards={}).to_json()
        del told["shards"]  # each of them logs its own end
        log.info("crawl ends", state="stopped" if self.stopped else state.value, **told)
