"""A store for the shards of one task, in memory. It shows what the contract means."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from crawler.clock import Clock, SystemClock
from crawler.engine.frontier.memory_store import NO_RUN, MemoryStore
from crawler.engine.frontier.seen import LoggedSeen
from crawler.engine.frontier.shared_store import ADOPT_S, MOST_DRAWN, Answer, Exchange, Offer
from crawler.engine.frontier.store import Found, Step
from crawler.model.records import NO_COUNTS, Counts

HOLD_S = 5.0
"""A run that has told nothing for so long is not reckoned with, when sites are shared out."""

Laid = tuple[float, Offer]
"""A request that no shard holds, and the monotonic time before which it must not be sent."""


class MemoryTask:
    """What the shards of one task share."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.known: set[int] = set()
        self.owners: dict[str, MemorySharedStore] = {}
        """The shard that serves each site, by origin."""
        self.pool: defaultdict[str, list[Laid]] = defaultdict(list)
        """The requests of the sites that no shard serves, the sites by age."""
        self.told: dict[str, str] = {}
        self.is_over = False
        self.shards: dict[int, MemorySharedStore] = {}

    def shard(self, number: int) -> MemorySharedStore:
        """The store of a shard, the same for all its runs."""
        if number not in self.shards:
            self.shards[number] = MemorySharedStore(self)
        return self.shards[number]

    @property
    def left(self) -> int:
        """How many requests have no end."""
        lying = sum(map(len, self.pool.values()))
        return lying + sum(each.left + len(each.inbox) for each in self.shards.values())

    def lay(self, offer: Offer, until_s: float) -> None:
        """Lay a request where its site belongs."""
        owner = self.owners.get(offer.site)
        place = self.pool[offer.site] if owner is None else owner.inbox
        place.append((until_s, offer))

    def note_end(self) -> None:
        """Note it if the task is over."""
        has_read_start = any(each.has_read_start for each in self.shards.values())
        self.is_over |= has_read_start and not self.left


class MemorySharedStore(MemoryStore):
    """Keeps the state of one shard in memory, beside the others."""

    def __init__(self, task: MemoryTask) -> None:
        super().__init__(task.clock)
        self._task = task
        self.inbox: list[Laid] = []
        """What was drawn for this shard, and is in no step yet."""
        self._drawn = 0
        """How many of them this run was told."""
        self._called_s = 0.0
        self._wants = 0
        self._promised = 0
        """How many sites others were asked to give back for this shard."""
        self._sites = 0
        self.left = 0
        self.has_read_start = False
        self._counts = Counts()

    def open(self, epoch: int | None = None, patience_s: float = 0.0) -> Found:
        """Begin a run. Raises StaleRun."""
        found = super().open(epoch, patience_s)
        self._called_s, self._drawn = self._clock.monotonic(), 0
        self._task.known.update(self._marks)
        return replace(found, seen=LoggedSeen())

    def close(self, is_clean: bool = False) -> None:
        """End the run."""
        super().close(is_clean)
        self._called_s, self._wants = self._clock.monotonic(), 0

    def clear(self) -> None:
        """Forget everything of this shard, and end the run. The last shard that is cleared forgets
        the task."""
        task, epoch = self._task, self._epoch
        self._give_all_away()
        self.__init__(task)  # type: ignore[misc]
        self._epoch = epoch
        if not any(each._used for each in task.shards.values()):
            shards = task.shards
            task.__init__(task.clock)  # type: ignore[misc]
            task.shards = shards

    def exchange(self, step: Step, exchange: Exchange) -> Answer:
        """Take a step, and what it means to the others. Raises StaleRun."""
        self.write(step)
        self._called_s = self._clock.monotonic()
        self._task.known.update(step.marks)
        del self.inbox[: exchange.taken]
        self._drawn -= exchange.taken
        self._let_go(exchange.let_go)
        self._note(exchange)
        known = self._lay(exchange.offers)
        self._serve_more()
        self._task.note_end()
        return Answer(
            drawn=self._draw(),
            known=known,
            spare=self._spare(),
            others=self._others_counts(),
            left=self._task.left,
            is_over=self._task.is_over,
            told=dict(self._task.told),
        )

    def offer(self, offers: Sequence[Offer]) -> int:
        """Take offers before their step. Raises StaleRun."""
        self._check()
        return self._lay(offers)

    def adopt(self) -> int:
        """Put what other shards hold into the pool, of those that nobody runs any more."""
        now_s = self._clock.monotonic()
        left = [each for each in self._others if each._called_s + ADOPT_S <= now_s]
        return sum(each._give_all_away() for each in left)

    def texts(self, name: str) -> Mapping[int, str]:
        """What each other shard keeps under that name."""
        others = {n: each._state for n, each in self._task.shards.items() if each is not self}
        return {n: state[name] for n, state in others.items() if name in state}

    @property
    def _others(self) -> list[MemorySharedStore]:
        return [each for each in self._task.shards.values() if each is not self]

    @property
    def _running(self) -> list[MemorySharedStore]:
        now_s = self._clock.monotonic()
        return [
            each
            for each in self._task.shards.values()
            if each._run != NO_RUN and now_s < each._called_s + HOLD_S
        ]

    def _note(self, exchange: Exchange) -> None:
        self._wants, self._promised = exchange.wants, 0
        self._sites, self.left = exchange.sites, exchange.left
        self.has_read_start, self._counts = exchange.has_read_start, exchange.counts
        for name, text in exchange.tells.items():
            self._task.told.setdefault(name, text)

    def _let_go(self, sites: Sequence[str]) -> None:
        """Serve these sites no longer, but those of which something lies here."""
        here = {offer.site for _, offer in self.inbox}
        for site in sites:
            if site not in here and self._task.owners.get(site) is self:
                del self._task.owners[site]

    def _lay(self, offers: Sequence[Offer]) -> int:
        """Lay the offers where they belong. Returns how many were known."""
        now_s, known = self._clock.monotonic(), 0
        for offer in offers:
            if offer.mark and offer.mark in self._task.known:
                known += 1
                continue
            if offer.mark:
                self._task.known.add(offer.mark)
            self._task.lay(offer, now_s + offer.wait_s)
        return known

    def _serve_more(self) -> None:
        """Serve sites of the pool, as many as are wanted, and not more than a fair share of them
        all if others want some, too."""
        pool = self._task.pool
        want = [each for each in self._running if each._wants]
        fair = math.ceil((sum(each._sites for each in want) + len(pool)) / max(1, len(want)))
        for site in list(pool)[: max(0, min(self._wants, fair - self._sites))]:
            self._task.owners[site] = self
            self.inbox += pool.pop(site)
            self._wants -= 1
            self._sites += 1

    def _draw(self) -> list[Offer]:
        now_s = self._clock.monotonic()
        fresh = self.inbox[self._drawn : self._drawn + MOST_DRAWN]
        self._drawn += len(fresh)
        return [offer._replace(wait_s=max(0.0, until_s - now_s)) for until_s, offer in fresh]

    def _spare(self) -> int:
        """How many sites to give back: so many that others who want some have as many then."""
        spare = 0
        for each in sorted(self._running, key=lambda shard: shard._sites):
            too_many = self._sites - spare - each._sites - each._promised
            more = max(0, min(each._wants - each._promised, too_many // 2))
            each._promised += more
            spare += more
        return spare

    def _others_counts(self) -> dict[int, Counts]:
        others = {n: each for n, each in self._task.shards.items() if each is not self}
        return {n: each._counts for n, each in others.items() if each._counts != NO_COUNTS}

    def _give_all_away(self) -> int:
        """End the run, and lay all that this shard holds where it belongs without it."""
        self._run = NO_RUN
        task = self._task
        task.owners = {site: owner for site, owner in task.owners.items() if owner is not self}
        held = [
            (until_s, Offer(0, each.site, each.priority, each.record))
            for until_s, each in self._waiting.values()
        ]
        for until_s, offer in (*held, *self.inbox):
            task.lay(offer, until_s)
        given = len(held) + len(self.inbox)
        self._waiting, self._held, self.inbox, self._drawn = {}, set(), [], 0
        self._wants = self._sites = self.left = 0
        return given
