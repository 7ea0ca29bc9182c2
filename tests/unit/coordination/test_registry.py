"""Registrations: one node per id, one number per master, and how sets of nodes differ."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.clock import SystemClock
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.lease import Lease
from crawler.coordination.registry import (
    IdTaken,
    Registry,
    decode_registration,
    difference,
    number_of,
)
from crawler.coordination.store import Put
from crawler.errors import OutcomeUnknown
from crawler.model.records import Node
from crawler.settings.sections import CoordinationSettings

KEYS = Keys(CoordinationSettings())


def register(store, role, id, address="h:1"):
    lease = Lease.grant(store, 60, SystemClock())
    return Registry(store, KEYS, role).register(Node(id, address), lease), lease


def test_a_node_is_registered_under_its_lease(store):
    node, lease = register(store, WORKER, "go.micro.server.worker-2", "192.168.0.107:9089")
    key = "/micro/registry/go.micro.server.worker/go.micro.server.worker-2"
    kv = store.get(key)
    assert (kv.lease, kv.create_revision) == (lease.id, node.incarnation)
    assert json.loads(kv.value)["nodes"][0]["address"] == "192.168.0.107:9089"
    lease.revoke()
    assert store.get(key) is None


def test_an_id_has_one_holder_and_another_incarnation_after_it(store):
    first, lease = register(store, WORKER, "w-1")
    with pytest.raises(IdTaken, match="w-1"):
        register(store, WORKER, "w-1")
    lease.revoke()
    again, _ = register(store, WORKER, "w-1")
    assert again.incarnation > first.incarnation


@pytest.mark.parametrize("at", [0, 1, 2], ids=["before the read", "before the write", "after it"])
def test_an_offer_never_overwrites_that_its_node_is_about_to_leave(store, monkeypatch, at):
    node, lease = register(store, WORKER, "w-1")
    registry, key = Registry(store, KEYS, WORKER), KEYS.registration(WORKER, "w-1")
    whole, calls = store.txn, []

    def txn(*given):
        calls.append(given)
        if len(calls) == at + 1:
            monkeypatch.setattr(store, "txn", whole)
            registry.announce_draining(node, lease)
            monkeypatch.setattr(store, "txn", txn)
        return whole(*given)

    monkeypatch.setattr(store, "txn", txn)
    registry.announce(replace(node, spiders=frozenset({"shop/films"})), lease)
    if at == 2:
        registry.announce_draining(node, lease)
    told = decode_registration(store.get(key))
    assert (told.draining, told.incarnation) == (True, node.incarnation)
    assert ("shop/films" in (told.spiders or ())) == (at < 2)


def test_an_offer_of_a_node_that_is_gone_or_has_come_back_changes_nothing(store):
    node, lease = register(store, WORKER, "w-1")
    registry, key = Registry(store, KEYS, WORKER), KEYS.registration(WORKER, "w-1")
    lease.revoke()
    registry.announce(node, lease)
    assert store.get(key) is None
    _, lease = register(store, WORKER, "w-1", "h:2")
    registry.announce(replace(node, spiders=frozenset({"shop/films"})), lease)
    assert decode_registration(store.get(key)).address == "h:2"


def test_live_masters_have_different_numbers_and_free_ones_are_used_again(store):
    first, lease = register(store, MASTER, "m-1")
    second, _ = register(store, MASTER, "m-2")
    assert [number_of(first), number_of(second)] == [0, 1]
    lease.revoke()
    third, _ = register(store, MASTER, "m-3")
    assert number_of(third) == 0


def test_two_masters_that_register_together_never_choose_the_same_number(store, monkeypatch):
    """Between the reading of the registrations and the own one, another master registers."""
    registry = Registry(store, KEYS, MASTER)
    original, raced = registry._put, []

    def race(node, lease, others):
        if not raced:
            raced.append(register(store, MASTER, "m-fast"))
        original(node, lease, others)

    monkeypatch.setattr(registry, "_put", race)
    slow = registry.register(Node("m-slow", "h:1"), Lease.grant(store, 60, SystemClock()))
    assert {number_of(slow), number_of(raced[0][0])} == {0, 1}


def test_a_registration_whose_answer_was_lost_is_found_as_ones_own(memory_store, monkeypatch):
    lease = Lease.grant(memory_store, 60, SystemClock())
    registry = Registry(memory_store, KEYS, WORKER)
    original = memory_store.txn

    def lossy(*arguments):
        original(*arguments)
        raise OutcomeUnknown("lost")

    monkeypatch.setattr(memory_store, "txn", lossy)
    with pytest.raises(OutcomeUnknown):
        registry.register(Node("w-1", "h:1"), lease)
    monkeypatch.setattr(memory_store, "txn", original)
    assert registry.register(Node("w-1", "h:1"), lease).incarnation > 0


def test_a_registration_that_cannot_be_read_does_not_stop_others(memory_store):
    odd = [
        b"nonsense",
        b'{"nodes":[{"id":"m-0","metadata":{"snowflake":5,"labels":[]}}]}',
        b"[" * 9999,
    ]
    for number, raw in enumerate(odd):
        memory_store.txn([], [Put(KEYS.registration(MASTER, f"m-odd-{number}"), raw)])
    node, _ = register(memory_store, MASTER, "m-1")
    assert number_of(node) == 0


def test_a_registration_under_another_id_than_its_key_s_is_refused(memory_store):
    register(memory_store, WORKER, "w-1")
    kv = memory_store.get(KEYS.registration(WORKER, "w-1"))
    assert decode_registration(kv).id == "w-1"
    with pytest.raises(ValueError, match="the key says otherwise"):
        decode_registration(kv._replace(key=KEYS.registration(WORKER, "w-2")))


nodes = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)).map(
    lambda ports: {id: Node(id, f"h:{port}") for id, port in ports.items()}
)


@given(nodes, nodes)
def test_the_difference_of_two_sets(before, after):
    found = difference(before, after)
    assert set(found.joined) == set(after) - set(before)
    assert set(found.left) == set(before) - set(after)
    assert all(before[id] != after[id] for id in found.changed)
    assert set(found.changed) | {id for id in after if before.get(id) == after[id]} | set(
        found.joined
    ) == set(after)
    assert bool(found) is (before != after)


def test_the_difference_reads_as_the_reference_logs_it():
    found = difference({}, {"go.micro.server.worker-2": Node("go.micro.server.worker-2", "h:1")})
    assert str(found) == "worker joined: [go.micro.server.worker-2], left: [], changed: []"
