"""What a member tells its guard, and when: of each lease, and that nothing needs one any more."""

import gevent
import pytest

from crawler.clock import ManualClock, settle
from crawler.coordination.keys import WORKER, Keys
from crawler.coordination.memory import MemoryStore
from crawler.errors import Unavailable
from crawler.model.records import Node
from crawler.node.guard.guard import NoGuard
from crawler.node.membership.membership import Membership
from crawler.node.membership.names import NodeNames
from crawler.settings.sections import CoordinationSettings

TTL_S = 10


class Guard(NoGuard):
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def hold(self, lease, ttl_s):
        self.told.append(("hold", lease, ttl_s))

    def deadline(self, seconds):
        self.told.append(("deadline", seconds))

    def release(self):
        self.told.append("release")


class Role:
    """Does nothing, or fails to stop."""

    def __init__(self, guard):
        self._told = guard.told
        self.fails = False

    def describe(self, node_id, address):
        return Node(node_id, address)

    def join(self, session):
        self._told.append("join")

    def leave(self):
        self._told.append("leave")
        if self.fails:
            raise RuntimeError("a run does not stop")


@pytest.fixture
def guard():
    return Guard()


@pytest.fixture
def role(guard):
    return Role(guard)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    made = MemoryStore(clock)
    yield made
    made.close()


@pytest.fixture
def member(store, clock, guard, role):
    """A member, with a guard that notes."""
    names = NodeNames("1", False, 60.0, clock)
    keys = Keys(CoordinationSettings())
    made = Membership(store, keys, WORKER, TTL_S, names, clock, guard=guard)
    running = gevent.spawn(made.run, role, lambda: "127.0.0.1:1")
    settle()
    yield made
    running.kill()
    made.leave(role)


def test_a_guard_knows_the_lease_before_anybody_can_give_the_node_work(member, guard, clock):
    deadline_s = clock.monotonic() + 0.8 * TTL_S
    lease = member.session.lease.id
    assert guard.told == [("deadline", deadline_s), ("hold", lease, TTL_S), "join"]


def test_when_the_role_has_stopped_the_guard_waits_for_no_deadline(member, guard, role):
    guard.told.clear()
    member.leave(role)
    assert guard.told == ["leave", ("deadline", 0.0), "release"]


def test_a_role_that_does_not_stop_is_left_to_the_guard_until_the_lease_is_revoked(
    member, guard, role, store, monkeypatch
):
    def refuse(lease):
        assert "release" not in guard.told
        raise Unavailable("etcd is away")

    monkeypatch.setattr(store, "lease_revoke", refuse)
    guard.told.clear()
    role.fails = True
    member.leave(role)
    assert guard.told == ["leave", "release"]


def test_a_guard_hears_of_the_next_lease(member, guard, clock):
    first = member.session.lease
    first.end("somebody says so")
    settle()
    clock.advance(2.0)
    assert guard.told.count("release") == 1
    assert ("hold", member.session.lease.id, TTL_S) in guard.told
    assert member.session.lease is not first
