"""Takes a crawl on from where an earlier run of it was, as a store has kept it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gevent.event import Event

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.kept import COUNTERS, LIMITS, SENDER, SPIDER, Kept
from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.frontier.journal import Journal
from crawler.errors import InvalidArgument
from crawler.logs import get_logger

log = get_logger(__name__)

LEASED = 256
"""The requests that are taken back before other greenlets get a turn."""


def look_for_callbacks(kept: Kept, spider: Any) -> None:
    """Refuse a spider that has no longer the callbacks for which requests wait.

    Raises InvalidArgument, and StoreFailed.
    """
    if kept.drops_missing or not kept.found.waiting:
        return
    gone: Counter[str] = Counter()
    for names, count in kept.store.tally(_callbacks).items():
        if missing := _missing(spider, names):
            gone[missing] += count
    if gone:
        told = "; ".join(
            f"the spider has no method {name!r}, for which {count:,}"
            f" {'request waits' if count == 1 else 'requests wait'}"
            for name, count in sorted(gone.items())
        )
        raise InvalidArgument(
            f"{kept.store.place}: {told}. Nothing was fetched or dropped. Give the method its"
            " old name again, let these requests fail with --drop-missing, or begin anew with"
            " --anew"
        )


def _callbacks(record: bytes) -> tuple[Any, Any]:
    """The names of the callback and the errback in the record of a job."""
    request, *_ = json.loads(record)
    return request.get("callback"), request.get("errback")


def resume(
    kept: Kept,
    context: CrawlContext,
    frontier: Frontier,
    journal: Journal,
    sender: Sender,
    woken: Event,
) -> None:
    """Take over everything that the store holds. `woken` is set by a stop. Raises StoreFailed."""
    counters = context.counters
    if (counts := kept.value(COUNTERS)) is not None:
        counters.go_on(counts)
    if (limits := kept.value(LIMITS)) is not None:
        frontier.go_on(limits)
    if (identity := kept.value(SENDER)) is not None:
        sender.go_on(identity)
    state_of(context.spider).update(kept.value(SPIDER) or {})
    for host, rest in kept.found.rests.items():
        context.shared.hosts.cooldowns.go_on(host, rest)
    _wait(context, woken, context.settings.delay_s - kept.found.idle_s)
    counters.discovered += kept.found.waiting - counters.pending
    _take_back(kept, context, frontier, journal)


def _wait(context: CrawlContext, woken: Event, duration_s: float) -> None:
    """Wait that long, or until a stop."""
    until_s = context.clock.monotonic() + duration_s
    while (left_s := until_s - context.clock.monotonic()) > 0:
        woken.clear()
        if context.close_conditions.over:
            return
        context.clock.wait(woken, left_s)


def state_of(spider: Any) -> dict[str, Any]:
    """What a spider keeps between its callbacks. An attribute of the same name may be anything."""
    return spider.state if isinstance(spider.state, dict) else {}


def _take_back(kept: Kept, context: CrawlContext, frontier: Frontier, journal: Journal) -> None:
    """Queue the requests that have no end. Those whose callbacks are gone fail."""
    gone: Counter[str] = Counter()
    now_s = context.clock.monotonic()
    while leased := kept.store.lease(LEASED):
        for waiting in leased:
            job = Job.from_record(json.loads(waiting.record), waiting.id)
            missing = missing_callback(context.spider, job)
            if missing:
                gone[missing] += 1
                context.counters.fail(f"callback {missing} is gone", job.url)
                journal.ended(job)
            else:
                frontier.take_back(job, now_s + waiting.wait_s)
        context.time_slice.give_way()
        if context.close_conditions.over:
            break  # the others stay in the store as they are
    for name, count in gone.items():
        log.error(
            f"the spider has no method {name!r} any more; the requests that wait for it fail",
            task=context.task,
            spider=context.spider.name,
            requests=count,
        )


def missing_callback(spider: Any, job: Job) -> str:
    """The callback or errback of a request that the spider does not have; empty if it has both."""
    return _missing(spider, (job.request.callback, job.request.errback))


def _missing(spider: Any, names: Iterable[Any]) -> str:
    """The callback or errback that a request names, and that the spider does not have."""
    for name in names:
        if isinstance(name, str) and not callable(getattr(spider, name, None)):
            return name
    return ""
