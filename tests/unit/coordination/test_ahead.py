"""Batches that are committed ahead: none is left behind, and the mark of the ids never falls."""

import gevent
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.ledger import CHANGES, Change, Ledger
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Put
from crawler.model.records import Leadership, Resource, Spec
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())


class Slow(MemoryStore):
    def __init__(self, clock):
        super().__init__(clock)
        self.slow = False
        self.go = Event()
        self.sent = self.ended = 0

    def txn(self, compares, success, failure=()):
        if self.slow:
            self.sent += 1
            self.go.wait()
        result = super().txn(compares, success, failure)
        self.ended += self.slow
        return result


def test_a_term_that_is_killed_while_a_batch_is_on_its_way_leaves_none_behind():
    store = Slow(SystemClock())
    key = KEYS.candidate(1)
    leadership = Leadership(key, store.txn([], [Put(key, b"master1-h:1")]).revision)
    ledger = Ledger(store, KEYS)
    changes = [
        Change(f"t{n}", Resource(Spec(f"t{n}"), id=str(n + 1)), 0, n + 1)
        for n in range(CHANGES * 3)
    ]
    store.slow = True
    term = gevent.spawn(lambda: list(ledger.commit(leadership, changes)))
    eventually(lambda: store.sent == 1, what="the first batch is on its way")
    term.kill()
    store.go.set()
    for _ in range(20):  # all that could go on does so within a turn of the hub
        gevent.sleep(0)
    assert store.ended == 0, "the flight that was waited for was left behind, and wrote"
    store.close()


def test_the_mark_of_the_ids_never_falls_from_one_batch_to_the_next():
    """In a draft a task that was deleted and added again keeps its place, with a higher id."""
    store = Slow(SystemClock())
    key = KEYS.candidate(1)
    leadership = Leadership(key, store.txn([], [Put(key, b"master1-h:1")]).revision)
    ledger = Ledger(store, KEYS)
    ids = [1000, *range(1, CHANGES + 1)]
    changes = [
        Change(f"t{n}", Resource(Spec(f"t{n}"), id=str(id)), 0, id) for n, id in enumerate(ids)
    ]
    landed = list(ledger.commit(leadership, changes))
    assert all(outcome.committed for each in landed for outcome in each.outcomes)
    assert ledger.highest_id() == 1000
    store.close()
