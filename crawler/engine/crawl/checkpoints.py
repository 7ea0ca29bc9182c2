"""Brings what a crawl has done into its store, again and again while it runs.

A checkpoint is what the crawl is at one moment between two pages: the requests that wait, the known
URLs, the counts, the cookies, and how long the files of items are. First the items of all pages so
far are flushed to the disk, then the store takes everything at once. So a page is done in the store
only after its items are safe, and the items in a file up to its mark are those of the pages that
are done.

The crawl goes on meanwhile. A killed crawl fetches again what it did since the last checkpoint.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from gevent import Greenlet
from gevent.event import Event

from crawler.clock import give_turn
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.dispatcher import Dispatcher
from crawler.engine.crawl.item_writer import ItemWriter, SinkFailed
from crawler.engine.crawl.kept import (
    COUNTERS,
    DONE,
    LEFT_MARKS,
    LIMITS,
    MARKS,
    PLACES,
    SENDER,
    SPIDER,
    Kept,
)
from crawler.engine.crawl.no_checkpoints import End, NoCheckpoints
from crawler.engine.crawl.resume import resume, state_of
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.frontier.journal import Journal, Starts, start_mark
from crawler.engine.frontier.store import Step, StoreFailed
from crawler.engine.http import serialization
from crawler.engine.items.sinks.marks import at_least
from crawler.logs import get_logger
from crawler.supervision import Supervisor

log = get_logger(__name__)

CHECKPOINT_S = 0.5
"""The seconds that something done stays only in memory, at most, if the disk is quick."""
BATCH = 160
"""So many settled requests make a checkpoint at once. With fewer, each page costs the disk more."""
MOST_BEHIND = 1000
"""With so many settled requests the crawl waits for the disk."""
DEAR_SHARE = 0.01
"""The share of the time that may go into writing cookies and limits, of which some crawls have
thousands. Those of such a crawl may be some seconds old after a kill."""
ENTRIES = 2000
"""The counts of so many hosts are encoded at once, which takes some milliseconds."""


class Checkpoints(NoCheckpoints):
    """The checkpoints of a crawl with a store."""

    def __init__(
        self,
        kept: Kept,
        context: CrawlContext,
        frontier: Frontier,
        journal: Journal,
        dispatcher: Dispatcher,
        item_writer: ItemWriter,
    ) -> None:
        self._kept = kept
        self._context = context
        self._clock = context.clock
        self._frontier = frontier
        self._journal = journal
        self._sender = dispatcher.sender
        self._item_writer = item_writer
        self._starts = Starts(kept.found.starts)
        self._supervisor = Supervisor("checkpoint", clock=self._clock)
        self._under_way: Greenlet | None = None
        self._fault: StoreFailed | SinkFailed | None = None
        self._due_s = -math.inf
        self._dear_s = -math.inf
        """The monotonic time before which what may be large is not written again."""
        self._texts = dict(kept.found.state)
        """What the store has."""
        self._places = json.dumps(list(dict.fromkeys([*(kept.places_before or ()), *kept.places])))
        self._rested = bool(kept.found.rests)
        self._is_clean = False
        self._marks: dict[str, Any] = {}
        """What the runs before have kept of their files."""

    @property
    def next_s(self) -> float:
        """The monotonic time of the next checkpoint; infinity if there is nothing to keep."""
        if self._journal.is_empty or self._is_busy:
            return math.inf
        return self._due_s

    @property
    def store_bytes(self) -> int:
        """About how much room the store takes; 0 if nobody knows."""
        return self._kept.store.size()

    @property
    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._due_s and not self._journal.is_empty

    @property
    def _is_busy(self) -> bool:
        return self._under_way is not None and not self._under_way.dead

    def begin(self, woken: Event) -> None:
        """Take over what an earlier run has kept. Raises StoreFailed."""
        marks = self._kept.value(MARKS) or {}
        if self._kept.found.is_clean:
            marks = {name: at_least(mark) for name, mark in marks.items()}
        self._marks = {**(self._kept.value(LEFT_MARKS) or {}), **marks}
        self._item_writer.begin_at(self._marks)
        resume(self._kept, self._context, self._frontier, self._journal, self._sender, woken)

    def opened(self) -> None:
        """Make the first checkpoint, so that each file has a mark before it has an item. Raises
        StoreFailed and SinkFailed."""
        self._begin()
        self._wait()

    def is_known_start(self, output: Any) -> bool:
        """Whether an earlier run has taken this start request. If not, it is noted."""
        mark, differed = start_mark(output), self._starts.differ
        is_known = self._starts.is_known(mark)
        if self._starts.differ and not differed:
            log.warning(
                "the start yields other requests than before, or in another order; those that are"
                " known are left out",
                task=self._context.task,
                spider=self._context.spider.name,
            )
        if is_known:
            return True
        self._journal.started(mark)
        return False

    def look(self) -> None:
        """Make a checkpoint if it is time. Raises StoreFailed and SinkFailed."""
        if self._fault is not None:
            raise self._fault
        settled = self._journal.settled
        if self._is_busy:
            if settled >= MOST_BEHIND:
                self._wait()
        elif settled >= BATCH or self._is_due:
            self._begin()

    def end(self, is_done: bool = False) -> None:
        """Make the last checkpoint. Raises StoreFailed and SinkFailed."""
        if is_done and not self._kept.remembers_end:
            return
        self._wait()
        self._begin(is_last=True)
        self._wait()
        self._is_clean = True

    def close(self, is_done: bool, is_void: bool, end: End | None) -> None:
        """Close the store, or clear it. Raises StoreFailed."""
        if self._under_way is not None:
            self._under_way.join()
        remembers = self._kept.remembers_end if is_done else self._kept.remembers_failure
        if end is not None and remembers:
            state, reason = end
            done = json.dumps([state.value, reason])
            counts = json.dumps(self._counters())
            self._hand_over_end({COUNTERS: counts, DONE: done})
            self._kept.store.close(is_clean=True)
        elif is_done or is_void:
            self._kept.store.clear()
        else:
            self._kept.store.close(self._is_clean)

    def _hand_over_end(self, state: dict[str, str]) -> None:
        """Let the store take how the crawl ended."""
        self._hand_over(Step(state=state))

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.join()
        if self._fault is not None:
            raise self._fault

    def _begin(self, is_last: bool = False) -> None:
        marks = self._item_writer.mark()
        # From here to the end of this function nothing else runs: all of it is one moment.
        step = self._take(is_last)
        step.rests = self._rests()
        is_full = is_last or self._clock.monotonic() >= self._dear_s
        step.state = self._state(is_full)
        limits = self._frontier.kept() if is_full else None
        self._due_s = self._clock.monotonic() + CHECKPOINT_S
        self._under_way = self._supervisor.spawn("write", self._write, step, limits, marks)

    def _take(self, is_last: bool) -> Step:
        """What has changed since the last step."""
        return self._journal.take()

    def _hand_over(self, step: Step) -> None:
        """Let the store take a step."""
        self._kept.store.write(step)

    def _write(
        self,
        step: Step,
        limits: Sequence[Mapping[int, int]] | None,
        marks: Callable[[], Mapping[str, Any]],
    ) -> None:
        try:
            step.state = {**step.state, **self._limits(limits), **self._marked(marks())}
            self._hand_over(step)
        except Exception as error:  # without this step, a later one would tell half of the truth
            self._fault = (
                error if isinstance(error, StoreFailed | SinkFailed) else _unforeseen(error)
            )
            self.wake()

    def _marked(self, marks: Mapping[str, Any]) -> dict[str, str]:
        """The marks as texts. Files that are not given in this run keep those they had."""
        made = {MARKS: json.dumps(dict(marks))}
        left = {name: mark for name, mark in self._marks.items() if name not in marks}
        if (text := json.dumps(left)) != self._texts.get(LEFT_MARKS, "{}"):
            self._texts[LEFT_MARKS] = made[LEFT_MARKS] = text
            if left:
                # In a cluster it has moved to another machine, as it should.
                tell = log.info if self._kept.remembers_failure else log.warning
                tell("the crawl wrote items to other files before", files=sorted(left))
        return made

    def _rests(self) -> Any:
        rests = self._context.shared.hosts.cooldowns.kept()
        had_any, self._rested = self._rested, bool(rests)
        return rests if rests or had_any else None

    def _limits(self, limits: Sequence[Mapping[int, int]] | None) -> dict[str, str]:
        """The text of the limits, if it has changed."""
        if limits is None:
            return {}
        began_s = self._clock.monotonic()
        text = encoded_in_turns(limits)
        self._dear_s += (self._clock.monotonic() - began_s) / DEAR_SHARE
        return self._changed({LIMITS: text})

    def _state(self, is_full: bool) -> dict[str, str]:
        made = {COUNTERS: json.dumps(self._counters()), PLACES: self._places, **self._kept.texts}
        if is_full:
            began_s = self._clock.monotonic()
            made[SENDER] = json.dumps(self._sender.kept())
            took_s = self._clock.monotonic() - began_s
            self._dear_s = began_s + took_s / DEAR_SHARE
        if state_of(self._context.spider):
            made[SPIDER] = self._spider_state(state_of(self._context.spider))
        return self._changed(made)

    def _changed(self, made: dict[str, str]) -> dict[str, str]:
        changed = {name: text for name, text in made.items() if self._texts.get(name) != text}
        self._texts.update(changed)
        return changed

    def _counters(self) -> dict[str, Any]:
        kept, lost = self._context.counters.kept(), self._item_writer.lost
        if lost:
            kept["items"] -= lost.total()
            kept["items_failed"] = kept["items_failed"] + lost
        return kept

    def _spider_state(self, state: dict[str, Any]) -> str:
        try:
            serialization.check(dict(state), "spider.state", "what goes on in a later run")
        except (serialization.NotSerializable, RecursionError) as error:
            raise StoreFailed(
                f"the state of the spider cannot be kept: {error}. Change the spider, and run the"
                " same command again to go on"
            ) from None
        return json.dumps(state)


def encoded_in_turns(counts: Sequence[Mapping[int, int]]) -> str:
    """Dicts as JSON. A hundred thousand hosts take a tenth of a second, so other greenlets get a
    turn after each part."""
    texts = []
    for each in counts:
        parts, entries = [], iter(each.items())
        while part := dict(islice(entries, ENTRIES)):
            parts.append(json.dumps(part)[1:-1])
            if len(part) == ENTRIES:
                give_turn()
        texts.append(f"{{{', '.join(parts)}}}")
    return f"[{', '.join(texts)}]"


def _unforeseen(error: Exception) -> StoreFailed:
    log.error("a checkpoint fails unexpectedly", exc_info=error)
    return StoreFailed(f"a checkpoint could not be made: {type(error).__name__}: {error}")
