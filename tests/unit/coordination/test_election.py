"""The election keeps etcd's recipe, on etcd and in memory alike."""

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.coordination.election import Election, leader_value, parse_leader
from crawler.coordination.keys import Keys
from crawler.coordination.lease import Lease
from crawler.coordination.store import Delete, Put
from crawler.errors import LeadershipLost
from crawler.model.records import Leader
from crawler.settings.sections import CoordinationSettings
from tests.waiting import PATIENCE_S, eventually

KEYS = Keys(CoordinationSettings())


class Candidate:
    """Stands in a greenlet; `leadership` once elected."""

    def __init__(self, store, name):
        self.election = Election(store, KEYS, SystemClock())
        self.lease = Lease.grant(store, 60, SystemClock())
        self.greenlet = gevent.spawn(self.election.campaign, self.lease, f"master{name}-h:1")

    @property
    def leadership(self):
        return self.greenlet.value

    def stands(self, store):
        return store.get(KEYS.candidate(self.lease.id)) is not None


@pytest.fixture
def stand():
    """Candidates that stand in the order of their names, until the test ends."""
    candidates = []

    def stand(store, *names):
        for name in names:
            candidates.append(Candidate(store, name))
            eventually(lambda: candidates[-1].stands(store), what=f"{name} stands")
        return candidates[-len(names) :]

    yield stand
    gevent.killall([candidate.greenlet for candidate in candidates])


def test_the_key_is_the_lease_in_hex_and_holds_the_value(stand, store):
    (one,) = stand(store, "1")
    kv = store.get(f"/resources/election/{one.lease.id:x}")
    assert kv.value == b"master1-h:1"
    assert kv.lease == one.lease.id
    eventually(lambda: one.leadership)
    assert (one.leadership.key, one.leadership.revision) == (kv.key, kv.create_revision)


def test_leaders_follow_in_the_order_they_stood(stand, store):
    one, two, three = stand(store, "1", "2", "3")
    eventually(lambda: one.leadership)
    assert two.leadership is None
    one.election.resign(one.leadership)
    eventually(lambda: two.leadership)
    assert three.leadership is None
    two.lease.revoke()
    eventually(lambda: three.leadership)
    revisions = [c.leadership.revision for c in (one, two, three)]
    assert revisions == sorted(set(revisions))


def test_one_that_waits_and_goes_does_not_let_the_next_pass_the_leader(stand, store):
    one, two, three = stand(store, "1", "2", "3")
    two.lease.revoke()
    gevent.joinall([three.greenlet], timeout=0.2)
    assert three.leadership is None
    one.lease.revoke()
    eventually(lambda: three.leadership)


def test_each_waits_for_its_predecessor_only(stand, memory_store, monkeypatch):
    watched = []
    original = memory_store.watch

    def watch(prefix, revision, *, exact=False):
        watched.append(prefix if exact else f"{prefix}*")
        return original(prefix, revision, exact=exact)

    monkeypatch.setattr(memory_store, "watch", watch)
    one, two, three = stand(memory_store, "1", "2", "3")
    eventually(lambda: len(watched) == 2)
    assert watched == [KEYS.candidate(one.lease.id), KEYS.candidate(two.lease.id)]
    assert three.leadership is None


def test_a_broken_watch_does_not_end_the_campaign(stand, memory_store):
    one, two = stand(memory_store, "1", "2")
    eventually(lambda: one.leadership)
    memory_store.break_watches()
    one.lease.revoke()
    eventually(lambda: two.leadership)


def test_a_candidate_whose_key_was_deleted_knows(stand, store):
    one, two = stand(store, "1", "2")
    store.txn([], [Delete(KEYS.candidate(two.lease.id))])
    one.lease.revoke()
    two.greenlet.join(PATIENCE_S)
    assert isinstance(two.greenlet.exception, LeadershipLost)


def test_resigning_does_not_touch_a_later_key_of_the_same_name(stand, store):
    (one,) = stand(store, "1")
    eventually(lambda: one.leadership)
    key = one.leadership.key
    store.txn([], [Delete(key)])
    store.txn([], [Put(key, b"another's")])
    one.election.resign(one.leadership)
    assert store.get(key).value == b"another's"


def test_leadership_is_confirmed_only_while_it_lasts(stand, store):
    one, two = stand(store, "1", "2")
    eventually(lambda: one.leadership)
    one.election.confirm(one.leadership)
    one.election.resign(one.leadership)
    with pytest.raises(LeadershipLost):
        one.election.confirm(one.leadership)
    eventually(lambda: two.leadership)


def test_observers_hear_of_each_leader_and_of_none(stand, store):
    told = []
    observer = gevent.spawn(Election(store, KEYS, SystemClock()).observe, told.append)
    eventually(lambda: told == [None])
    one, two = stand(store, "1", "2")
    eventually(lambda: told[-1] == "master1-h:1")
    one.lease.revoke()
    eventually(lambda: told[-1] == "master2-h:1")
    two.lease.revoke()
    eventually(lambda: told[-1] is None)
    observer.kill()


@pytest.mark.parametrize(
    ("value", "masters", "address"),
    [
        ("master2-192.168.0.107:9091", {}, "192.168.0.107:9091"),
        ("master2-my-host-7.example:9091", {}, "my-host-7.example:9091"),
        ("mastera-b-my-host:9091", {"a-b": "my-host:9091"}, "my-host:9091"),
        ("mastera-b-c:9091", {"a": "b-c:9091"}, "b-c:9091"),
        ("something else", {}, ""),
        ("master-", {}, ""),
        ("master1-host", {}, ""),
        ("", {}, ""),
    ],
)
def test_the_leader_s_address_is_read_from_its_value(value, masters, address):
    assert parse_leader(value, masters) == Leader(value, address)


def test_what_is_written_is_read():
    assert parse_leader(leader_value("x-1", "a-b-c:1"), {"x-1": "a-b-c:1"}).address == "a-b-c:1"
