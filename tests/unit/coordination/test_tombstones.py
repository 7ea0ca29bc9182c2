"""Notes on dead workers are the leader's alone, and end a day after the last."""

import pytest

from crawler.coordination.keys import Keys
from crawler.coordination.store import Delete
from crawler.coordination.tombstones import TOMBSTONE_S, Tombstones, decode_tombstone
from crawler.errors import LeadershipLost
from crawler.settings.sections import CoordinationSettings

KEYS = Keys(CoordinationSettings())


@pytest.fixture
def tombstones(store):
    return Tombstones(store, KEYS)


def test_the_dead_are_noted_by_who_leads_and_by_nobody_else(store, tombstones, leadership):
    many = {f"w-{number}": number + 1 for number in range(300)}
    tombstones.write(leadership, many)
    notes = {kv.key: decode_tombstone(kv.value) for kv in store.range(KEYS.tombstone("")).items}
    assert notes == {KEYS.tombstone(id): incarnation for id, incarnation in many.items()}
    store.txn([], [Delete(leadership.key)])
    with pytest.raises(LeadershipLost):
        tombstones.write(leadership, {"w-0": 99})
    assert decode_tombstone(store.get(KEYS.tombstone("w-0")).value) == 1


def note(store, name):
    """The note on a worker, as it is stored."""
    return store.get(KEYS.tombstone(name))


def test_all_notes_share_a_lease_that_ends_a_day_after_the_last(
    store, clock, tombstones, leadership
):
    tombstones.write(leadership, {"w-1": 1})
    clock.advance(TOMBSTONE_S - 1)
    tombstones.write(leadership, {"w-2": 2})
    assert note(store, "w-1").lease == note(store, "w-2").lease != 0
    clock.advance(TOMBSTONE_S - 1)
    assert note(store, "w-2")
    clock.advance(2)
    assert note(store, "w-2") is None


def test_notes_whose_lease_was_revoked_get_another(store, tombstones, leadership):
    tombstones.write(leadership, {"w-1": 1})
    store.lease_revoke(note(store, "w-1").lease)
    tombstones.write(leadership, {"w-2": 2})
    assert note(store, "w-2")
