"""The checkpoints of a shard: with each, it tells the other shards of its task what it has found.

What its pages have yielded goes to the store with the step in which these pages have their end.
What it draws goes into its frontier between two pages, and is its own from the next step on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple

from crawler.clock import Backoff
from crawler.engine.crawl.checkpoints import CHECKPOINT_S, Checkpoints
from crawler.engine.crawl.context import CrawlContext
from crawler.engine.crawl.dispatcher import Dispatcher
from crawler.engine.crawl.item_writer import ItemWriter
from crawler.engine.crawl.kept import COUNTERS, OTHERS, Kept
from crawler.engine.crawl.resume import missing_callback
from crawler.engine.crawl.shard_statistics import ShardStatistics
from crawler.engine.frontier.shared_frontier import SharedFrontier
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.frontier.shared_store import ENDED, Answer, Exchange, Offer, SharedStore
from crawler.engine.frontier.store import Step
from crawler.engine.http import urls
from crawler.engine.stats.outcome import filtered_all
from crawler.logs import get_logger
from crawler.model.records import Counts
from crawler.model.shards import total

log = get_logger(__name__)

SOON_S = 0.05
"""The least seconds between two exchanges of a shard that has a free slot and something to tell."""
ADOPT_EVERY_S = 5.0
"""How often a shard that could do more looks for shards that nobody runs any more."""
MOST_UNTOLD = 1000
"""With so many offers the shard tells them at once."""
ASK_EVERY_S = 1.0
"""How often the head asks for the statistics of the other shards."""
HOME, WISH, NO_PAGE = "home", "wish", "no_page"
"""The names of what shards tell all: where the secrets of the settings go, the reason for which one
has ended the crawl, and why a shard had no page because all its requests were filtered."""


class SharedCheckpoints(Checkpoints):
    """The checkpoints of a crawl that is one shard of its task."""

    def __init__(
        self,
        kept: Kept,
        store: SharedStore,
        context: CrawlContext,
        frontier: SharedFrontier,
        journal: SharedJournal,
        dispatcher: Dispatcher,
        item_writer: ItemWriter,
    ) -> None:
        super().__init__(kept, context, frontier, journal, dispatcher, item_writer)
        self._store = store
        self._shared_frontier = frontier
        self._shared_journal = journal
        journal.tell_ahead = self._tell_ahead
        self._dispatcher = dispatcher
        self.has_read_start = False
        """Whether this shard has read the start of the spider to its end."""
        self.is_over = False
        self.elsewhere = 0
        self._exchange = Exchange()
        self._answer: Answer | None = None
        """What the store has answered, until `look` takes it in."""
        self._spare = 0
        self._pauses = Backoff(0.1, CHECKPOINT_S)
        self._pause_s = 0.0
        """The seconds between two exchanges while this shard has a free slot."""
        self._began_s = -math.inf
        self._adopts_s = context.clock.monotonic() + ADOPT_EVERY_S
        self._asks_s = -math.inf
        """The monotonic time before which the head does not ask for statistics again."""
        self._statistics = ShardStatistics(store, context)
        self.shards = self._statistics.known
        self._sender.finds_home = not kept.shard

    @property
    def next_s(self) -> float:
        """The monotonic time of the next exchange."""
        return math.inf if self._is_busy else self._due_at_s

    @property
    def is_behind(self) -> bool:  # type: ignore[override]
        """Whether so many requests are offered that the start must wait."""
        return self._shared_journal.offered >= MOST_UNTOLD

    def look(self) -> None:
        """Take in what the others have told, and tell them if it is time. Raises StoreFailed and
        SinkFailed."""
        self._take_in()
        super().look()

    def end(self, is_done: bool = False) -> None:
        """Make the last checkpoint. Raises StoreFailed and SinkFailed."""
        super().end(is_done)
        if self._answer is not None:
            known = self._answer.known
            self._note(self._answer)
            self._answer = None
            if known:
                self._store.write(Step(state={COUNTERS: json.dumps(self._counters())}))

    def _hand_over_end(self, state: dict[str, str]) -> None:
        """Let the store take how the crawl ended. No step is under way: it would lose its
        exchange."""
        is_head = not self._kept.shard
        self._exchange = Exchange(
            left=self._exchange.left,
            has_read_start=self._exchange.has_read_start,
            counts=self._counts(),
            tells={**self._tells(()), **({ENDED: "1"} if is_head else {})},
        )
        if is_head:
            others = {number: astuple(counts) for number, counts in self.others.items()}
            state = {**state, OTHERS: json.dumps(others)}
            self._asks_s = -math.inf
        self._hand_over(Step(state=state))

    @property
    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._due_at_s

    @property
    def _due_at_s(self) -> float:
        untold = self._shared_journal.untold
        if untold >= MOST_UNTOLD:
            return -math.inf
        if self._spare or self._shared_frontier.is_giving:
            return self._began_s + SOON_S
        if self._dispatcher.is_hungry:
            return self._began_s + (SOON_S if untold else self._pause_s)
        return self._began_s + CHECKPOINT_S

    def _begin(self, is_last: bool = False) -> None:
        self._take_in()
        if not is_last:
            self._give_back()
        self._began_s = self._clock.monotonic()
        super()._begin(is_last)

    def _take(self, is_last: bool) -> Step:
        """What has changed since the last step, and what is told with it."""
        step = super()._take(is_last)
        offers, taken = self._shared_journal.take_offers()
        self._exchange = Exchange(
            offers=offers,
            taken=taken,
            let_go=self._shared_frontier.take_gone(offers),
            wants=0 if is_last or self._shared_frontier.is_giving else self._dispatcher.wants,
            sites=self._shared_frontier.serving,
            left=self._context.counters.pending - len(offers),
            has_read_start=self.has_read_start,
            counts=self._counts(),
            tells=self._tells(offers),
        )
        return step

    def _hand_over(self, step: Step) -> None:
        self._answer = answer = self._store.exchange(step, self._exchange)
        if self._exchange.wants and not answer.drawn and not answer.is_over:
            self._adopt()
        if not self._kept.shard and self._clock.monotonic() >= self._asks_s:
            self._asks_s = self._clock.monotonic() + ASK_EVERY_S
            self._statistics.ask()
        self.wake()

    def _tell_ahead(self) -> None:
        """Tell what a page has yielded so far, so that it need not be kept until the end of the
        page. Called by that page's greenlet. Raises StoreFailed."""
        if self._fault is not None:
            raise self._fault
        offers, counters = self._shared_journal.take_ahead(), self._context.counters
        known = self._store.offer(offers)
        self._shared_journal.telling_ahead = 0
        counters.discovered -= len(offers) - known
        if known:
            counters.filter("duplicate", offers[0].site, known)

    def _adopt(self) -> None:
        """Let this shard, which could do more than there is, have what nobody runs any more."""
        if self._clock.monotonic() < self._adopts_s:
            return
        self._adopts_s = self._clock.monotonic() + ADOPT_EVERY_S
        if count := self._store.adopt():
            names = self._context.names
            log.info("requests of other shards are taken over", **names, requests=count)

    def _take_in(self) -> None:
        """Take in what the store has answered. Called between two pages."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self._note(answer)
        for offer in answer.drawn:
            self._draw(offer)
            self._context.time_slice.give_way()

    def _note(self, answer: Answer) -> None:
        """Note what an answer says of the requests that were offered, and of the others."""
        journal, counters = self._shared_journal, self._context.counters
        if answer.drawn or journal.telling:
            self._pauses.reset()
        self._pause_s = self._pauses.next_s()
        counters.discovered -= journal.telling - answer.known
        if answer.known:
            counters.filter("duplicate", self._exchange.offers[0].site, answer.known)
        journal.telling = 0
        self.elsewhere = answer.left - self._exchange.left
        self.is_over = self.is_over or answer.is_over
        self._spare = answer.spare
        self._hear(answer)

    def _hear(self, answer: Answer) -> None:
        """Heed what counts for all shards."""
        conditions = self._context.close_conditions
        self.others = answer.others
        conditions.others = total(answer.others.values())
        conditions.check()
        self.no_page = answer.told.get(NO_PAGE, "")
        if WISH in answer.told:
            conditions.end(answer.told[WISH])
        if HOME in answer.told:
            self._sender.go_home(json.loads(answer.told[HOME]))

    def _draw(self, offer: Offer) -> None:
        """Queue a request that was drawn, or count why not."""
        counters = self._context.counters
        counters.discovered += 1
        job, refusal = self._shared_frontier.draw(offer)
        missing = missing_callback(self._context.spider, job)
        self._shared_journal.drawn(None if refusal or missing else job, offer)
        if refusal:
            counters.filter(refusal, job.url)
        elif missing:
            counters.fail(f"callback {missing} is gone", job.url)
        else:
            self._shared_frontier.take_back(job, self._clock.monotonic() + offer.wait_s)

    def _give_back(self) -> None:
        """Give sites back that other shards want."""
        if self._spare:
            self._shared_frontier.promise(self._spare)
            self._spare = 0
        self._dispatcher.leave(self._shared_frontier.take_out())
        self._shared_frontier.give_back()

    def _tells(self, offers: Sequence[Offer]) -> Mapping[str, str]:
        """What counts for all shards: it is told again each time, and the first word stays."""
        if offers and self._sender.finds_home:
            self._sender.go_home([urls.host(offers[0].site)])
        said = {
            HOME: json.dumps(self._sender.home) if self._sender.home else "",
            WISH: self._context.close_conditions.wish,
            NO_PAGE: filtered_all(self._context.counters),
        }
        return {name: text for name, text in said.items() if text}

    def _counts(self) -> Counts:
        """What is counted, without items that a sink has lost."""
        counts = self._context.counters.counts()
        lost = self._item_writer.lost.total()
        return Counts(counts.pages, counts.items - lost, counts.failures, counts.seconds)
