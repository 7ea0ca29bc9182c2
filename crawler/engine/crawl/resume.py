"""Takes a crawl on from where an earlier run of it was, as a store has kept it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from gevent.event import Event

from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.sender import Sender
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.job import Job
from crawler.engine.frontier.journal import Journal
from crawler.engine.frontier.store import Found, Step, Store, StoreFailed
from crawler.errors import InvalidArgument
from crawler.logs import get_logger
from crawler.model.records import Counts, Spec, State

log = get_logger(__name__)

COUNTERS, SENDER, LIMITS = "counters", "sender", "limits"
SPIDER, ABOUT, DONE, PLACES = "spider", "about", "done", "places"
MARKS, LEFT_MARKS = "marks", "left_marks"
"""The marks of the files of the last run, and those of other files of the runs before."""
OTHERS = "others"
"""What the other shards had counted when the head of a task ended."""
"""The names of the texts that a store keeps for a crawl."""
LEASED = 256
"""The requests that are taken back before other greenlets get a turn."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A store that is open, and what the run has found in it."""

    store: Store
    found: Found
    remembers_end: bool = False
    """Whether the store keeps that the crawl was done and has not failed, until its owner clears
    it."""
    drops_missing: bool = False
    """Whether requests whose callbacks are gone fail. Else they keep the crawl from its start."""
    places: Sequence[str] = ()
    """Where the items of this run go, by names that hold for later runs."""
    remembers_failure: bool = False
    """Whether the store also keeps that the crawl has failed, or has reached a limit. Only a crawl
    that could not be kept, or whose items could not be written, then goes on."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What else the first step of this run keeps, by names that the crawl does not use."""
    shard: int | None = None
    """Which shard of its task the crawl is, if several workers run it: 0 reads the start. Then the
    store is a `SharedStore`. None if the crawl runs alone."""

    @property
    def is_done(self) -> bool:
        """Whether the crawl had its end in an earlier run."""
        return DONE in self.found.state

    @property
    def end(self) -> tuple[State, str]:
        """How it ended then: DONE, or FAILED with a reason."""
        state, reason = self.value(DONE)
        return State(state), reason

    @property
    def counts(self) -> Counts:
        """What all earlier runs have counted."""
        counted = self.value(COUNTERS)
        if counted is None:
            return Counts()
        failures = sum(sum(counted[name].values()) for name in ("failed", "raised"))
        return Counts(counted["pages"], counted["items"], failures, counted["seconds"])

    @property
    def others(self) -> dict[int, Counts]:
        """What each other shard had counted when it ended, if it is the head of a task."""
        return {int(shard): Counts(*each) for shard, each in (self.value(OTHERS) or {}).items()}

    @property
    def places_before(self) -> Sequence[str] | None:
        """Where the items of all earlier runs went; None if no run has told it."""
        places: Sequence[str] | None = self.value(PLACES)
        return places

    @property
    def marks(self) -> dict[str, Any]:
        """How far each file of items counts, by its name in all runs."""
        return {**(self.value(LEFT_MARKS) or {}), **(self.value(MARKS) or {})}

    def value(self, name: str) -> Any:
        """What was kept under a name; None if nothing was."""
        text = self.found.state.get(name)
        return None if text is None else json.loads(text)


def open_store(
    store: Store,
    spec: Spec,
    anew: Callable[[Kept], None] | None = None,
    *,
    remembers_end: bool = False,
    drops_missing: bool = False,
    places: Sequence[str] = (),
) -> Kept:
    """Open a store for a task. With `anew`, drop what is there after `anew` was told of it.

    Raises StoreFailed, also if the store is that of another spider or has other arguments.
    """
    kept = Kept(store, store.open(), remembers_end, drops_missing, places)
    if anew is not None and not kept.found.is_new:
        anew(kept)
        store.clear()
        kept = replace(kept, found=store.open())
    about = about_of(spec)
    if kept.found.is_new:
        store.write(Step(state={ABOUT: json.dumps(about)}))
    elif kept.value(ABOUT) not in (None, about):
        store.close(kept.found.is_clean)
        raise StoreFailed(_is_anothers(store, kept.value(ABOUT), about))
    return kept


def about_of(spec: Spec) -> list[Any]:
    """What a store is about: the spider, and a digest of each of its arguments, which may be
    passwords."""
    given = {name: value for name, value in spec.parameters.items() if name != "settings"}
    return [spec.spider_name, {name: digest(value) for name, value in given.items()}]


def digest(value: Any) -> str:
    """What tells a value from others, and does not show it."""
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _is_anothers(store: Store, there: list[Any], here: list[Any]) -> str:
    (spider, before), (name, now) = there, here
    if spider != name:
        return (
            f"{store.place} keeps a crawl of spider {spider!r}, and this is {name!r}; give another"
            " folder, or --anew"
        )
    differ = [each for each in sorted({*before, *now}) if before.get(each) != now.get(each)]
    return (
        f"{store.place} keeps a crawl of spider {name!r} with other arguments:"
        f" {', '.join(differ)} {'differs' if len(differ) == 1 else 'differ'}; give the same"
        " arguments, another folder, or --anew"
    )


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
