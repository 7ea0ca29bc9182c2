"""What a node knows of who may come in, while etcd goes and comes."""

import pytest

from crawler.api.doors import MOST_SILENCE_S, Approach
from crawler.clock import ManualClock, settle
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, Put
from crawler.coordination.token_secret import hash_of, new_parts, new_salt
from crawler.coordination.tokens import encode_token
from crawler.errors import Unauthenticated, Unavailable
from crawler.model.access import Need, Role, Token
from crawler.node.access import Access
from crawler.settings.sections import ApiSettings, CoordinationSettings
from crawler.supervision import Supervisor

KEYS = Keys(CoordinationSettings())
LOCAL = Approach("127.0.0.1")


class LossyStore(MemoryStore):
    """A store that a node can lose."""

    is_away = False

    def range(self, *given):
        if self.is_away:
            raise Unavailable("etcd is away")
        return super().range(*given)

    def go(self):
        self.is_away = True
        self.break_watches()
        settle()

    def come_back(self, clock):
        self.is_away = False
        clock.advance(1.0)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    store = LossyStore(clock)
    yield store
    store.close()


@pytest.fixture
def node(store, clock):
    supervisor = Supervisor("test", clock=clock)
    node = Access(store, KEYS, ApiSettings(), clock)
    node.start(supervisor)
    settle()
    yield node
    supervisor.stop()


def make(store):
    """Store the token of an admin. Returns its id and how it comes."""
    parts, salt = new_parts(), new_salt()
    token = Token(parts.id, "t", Role.ADMIN, hash_of(parts.secret, salt), salt)
    store.txn([], [Put(KEYS.token(parts.id), encode_token(token))])
    settle()
    return parts.id, Approach("10.0.0.5", f"Bearer {parts.text}")


def test_a_token_that_was_revoked_ends_at_a_node_that_lost_etcd(node, store, clock):
    id, comes = make(store)
    store.go()
    store.txn([], [Delete(KEYS.token(id))])
    assert node.doors.admit(comes, Need.CLUSTER), "nobody could know better"
    clock.advance(MOST_SILENCE_S + 1)
    for need in (Need.CLUSTER, Need.TASKS):
        with pytest.raises(Unavailable, match="whether this token was revoked"):
            node.doors.admit(comes, need)
    assert node.doors.admit(comes, Need.METRICS)
    make(store)
    store.come_back(clock)
    with pytest.raises(Unauthenticated, match="it was revoked"):
        node.doors.admit(comes, Need.CLUSTER)


def test_a_token_counts_again_when_etcd_is_back(node, store, clock):
    _, comes = make(store)
    clock.advance(10 * MOST_SILENCE_S)  # nothing happens, and the watch goes on
    assert node.doors.admit(comes, Need.CLUSTER)
    store.go()
    clock.advance(10 * MOST_SILENCE_S)
    with pytest.raises(Unavailable):
        node.doors.admit(comes, Need.CLUSTER)
    store.come_back(clock)
    assert node.doors.admit(comes, Need.CLUSTER)


def test_in_protected_mode_the_machine_looks_into_a_node_that_lost_etcd(node, store, clock):
    store.go()
    clock.advance(7200.0)
    assert node.doors.admit(LOCAL, Need.CLUSTER).name == "loopback"


@pytest.mark.parametrize("value", [b"", b"?", b"[" * 100_000])
def test_a_token_that_cannot_be_read_does_not_open_protected_mode(node, store, value):
    assert node.doors.admit(LOCAL, Need.READ)
    store.txn([], [Put(KEYS.token("0123456789ab"), value)])
    settle()
    text = f"Bearer crawler_0123456789ab_{'x' * 43}"
    for approach in (LOCAL, Approach("127.0.0.1", text)):
        with pytest.raises(Unauthenticated):
            node.doors.admit(approach, Need.READ)


def test_a_new_secret_of_nodes_counts_without_a_restart(node, store, clock):
    former = node.secret()
    store.txn([], [Put(KEYS.node_secret, b"by hand")])
    settle()
    assert node.secret() == "by hand"
    for secret in (former, "by hand"):
        assert node.doors.admit(Approach("10.0.0.5", f"Bearer {secret}"), Need.NODES).is_node
    clock.advance(60.0)
    with pytest.raises(Unauthenticated):
        node.doors.admit(Approach("10.0.0.5", f"Bearer {former}"), Need.NODES)
