"""The secret of the nodes: the first makes it, and all follow it in etcd."""

import pytest

from crawler.coordination import node_secret
from crawler.coordination.keys import Keys
from crawler.coordination.node_secret import NodeSecret
from crawler.coordination.store import Delete, Put
from crawler.errors import Unavailable
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())


def started(store, clock, supervisor):
    secret = NodeSecret(store, KEYS, clock)
    secret.start(supervisor)
    eventually(secret.current)
    return secret


@pytest.fixture
def secret(store, clock, supervisor):
    return started(store, clock, supervisor)


def test_the_first_node_makes_it_and_the_others_read_it(store, clock, supervisor, secret):
    assert len(secret.current()) >= 43
    assert store.get(KEYS.node_secret).value.decode() == secret.current()
    assert started(store, clock, supervisor).current() == secret.current()


def test_a_new_one_is_followed_and_the_former_counts_for_a_minute(store, clock, secret):
    former = secret.current()
    assert secret.former() == ""
    store.txn([], [Put(KEYS.node_secret, b"by hand")])
    eventually(lambda: secret.current() == "by hand")
    assert secret.former() == former
    clock.advance(node_secret.FORMER_S)
    assert (secret.current(), secret.former()) == ("by hand", "")


def test_if_it_is_lost_another_is_made(store, clock, supervisor, secret):
    other = started(store, clock, supervisor)
    former = secret.current()
    store.txn([], [Delete(KEYS.node_secret)])
    eventually(lambda: secret.current() != former)
    eventually(lambda: other.current() == secret.current())
    assert store.get(KEYS.node_secret).value.decode() == secret.current()
    assert other.former() == former


def test_it_is_read_as_soon_as_etcd_answers(store, clock, supervisor, monkeypatch):
    def away(*_):
        raise Unavailable("etcd is away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "txn", away)
        patched.setattr(store, "range", away)
        secret = NodeSecret(store, KEYS, clock)
        secret.start(supervisor)
        clock.advance(20.0)
        assert secret.current() == ""
    clock.advance(5.0)
    eventually(secret.current)
