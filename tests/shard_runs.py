"""A task of several shards over a random web, without a network: what each shard does in one turn.

Whatever befalls the shards, each page that can be reached has to come to its end.
"""

from __future__ import annotations

import random
from collections import Counter

from crawler.engine.frontier.shared_store import Exchange, Offer
from crawler.engine.frontier.store import StaleRun, Step, StoreLost, Waiting

SITES = 7
AT_ONCE = 5
"""A shard ends so many pages in a turn, at most."""


def web(chosen: random.Random, pages: int) -> dict[int, list[int]]:
    """The links of each page. Page 0 is the start, and most others can be reached from it."""
    linked = {
        page: [chosen.randrange(pages) for _ in range(chosen.randrange(6))] for page in range(pages)
    }
    for page in range(1, pages):
        linked[chosen.randrange(page)].append(page)
    return linked


def site_of(page: int) -> str:
    """Some sites have many pages, others few."""
    return f"http://h{int(page**0.7) % SITES}"


class ShardRun:
    """One shard, in one run after the other."""

    def __init__(self, stores, number, linked, chosen):
        """`stores` makes the store of a run."""
        self._stores, self._number, self._linked, self._chosen = stores, number, linked, chosen
        self.ends = Counter[int]()
        """How often each page came to its end here."""
        self.epoch = self.lost = 0
        self.is_over = False
        self.store = None

    def begin(self):
        """Begin a run, as after a kill."""
        self.epoch += 1
        self.store = self._stores(self._number)
        self._open()

    def end(self):
        """End the run in order: what was drawn and not taken stays where it was."""
        self.store.close(is_clean=True)
        self.store = None

    def turn(self):
        """Take what was drawn, bring some pages to their ends, and hear what is new."""
        if self.store is None:
            self.begin()
        try:
            self._turn()
        except StoreLost:
            self.lost += 1
            self.store.close()
            self._open()
        except StaleRun:  # others have taken over what it held
            self.store.close()
            self.store = None

    def _open(self):
        found = self.store.open(self.epoch)
        self._next_id = found.next_id
        self._held = {each.id: int(each.record) for each in self.store.lease(10_000)}
        self._drawn, self._offered, self._serves = [], set(), set()

    def _turn(self):
        added = [self._taken(each) for each in self._drawn]
        ended = self._chosen.sample(sorted(self._held), min(AT_ONCE, len(self._held)))
        pages = [self._held.pop(id) for id in ended]
        step = Step(added=added, ended=ended)
        self._serves |= {site_of(page) for page in self._held.values()}
        left = {site for site in self._serves if site not in map(site_of, self._held.values())}
        offers = [offer for page in pages for offer in self._offers(page)]
        if self._number == 0:
            offers += self._offer(0)
        exchange = Exchange(
            offers,
            taken=len(added),
            let_go=sorted(left),
            wants=self._chosen.choice([0, 0, 1, 2]),
            sites=len(self._serves - left),
            left=len(self._held),
            has_read_start=self._number == 0,
        )
        answer = self.store.exchange(step, exchange)
        self.ends.update(pages)
        self._serves -= left
        self._drawn, self.is_over = answer.drawn, answer.is_over

    def _taken(self, offer):
        self._next_id += 1
        self._held[self._next_id] = int(offer.record)
        return Waiting(self._next_id, offer.site, offer.priority, offer.record)

    def _offers(self, page):
        return [offer for link in self._linked[page] for offer in self._offer(link)]

    def _offer(self, page):
        if page in self._offered:
            return []
        self._offered.add(page)
        mark = (page + 1) * 0x9E3779B97F4A7C15 % 2**64
        return [Offer(mark, site_of(page), page % 3, b"%d" % page)]


def turns(chosen, shards, befalls=lambda shard: None):
    """Give shards turns by chance, the head first, until all have heard that the task is over.
    `befalls` is called after each turn."""
    shards[0].turn()
    for _ in range(3000):
        left = [shard for shard in shards if not shard.is_over]
        if not left:
            return
        shard = chosen.choice(left)
        shard.turn()
        befalls(shard)
    raise AssertionError("the task does not come to its end")


def ends_of(shards):
    """How often each page came to its end, anywhere."""
    return sum((shard.ends for shard in shards), Counter[int]())
