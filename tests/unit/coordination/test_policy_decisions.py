"""What people decided about the scheduler: how it is stored, and that only the leader stores it."""

import json

import pytest

from crawler.clock import ManualClock
from crawler.coordination.decisions import (
    decode_decision,
    encode_cordon,
    encode_policy,
    write_decision,
)
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, KeyValue, Put
from crawler.errors import LeadershipLost
from crawler.model.policy import Cordon, Policy
from crawler.settings.sections import CoordinationSettings

KEYS = Keys(CoordinationSettings())
POLICY = Policy("random", frozenset({"spread", "gpu"}), {"labels": 2.5})


@pytest.fixture
def store():
    store = MemoryStore(ManualClock())
    yield store
    store.close()


def decoded(key, value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_decision(KEYS, KeyValue(key, raw, 1, 1))


def test_what_was_decided_comes_back_as_it_was():
    assert decoded("/crawler/scheduler/policy", encode_policy(POLICY)) == POLICY
    cordon = Cordon("w-1", 1670841268798763000)
    assert encode_cordon(cordon) == b'{"ID":"w-1","Since":1670841268798763000}'
    assert decoded("/crawler/scheduler/cordons/w-1", encode_cordon(cordon)) == cordon


def test_what_a_person_wrote_by_hand_may_leave_out_all_but_the_strategy():
    assert decoded(KEYS.policy, {"Strategy": "random"}) == Policy("random")
    assert decoded(KEYS.cordon("w-1"), {}) == Cordon("w-1", 0)
    assert decoded(f"{KEYS.decisions}else", {}) is None
    assert decoded(KEYS.cordon(""), {}) is None


@pytest.mark.parametrize(
    "value",
    [
        b"no json",
        b"[" * 100_000,
        [],
        {},
        {"Strategy": 3},
        {"Strategy": "a", "Disabled": "b"},
        {"Strategy": "a", "Disabled": [1]},
        {"Strategy": "a", "Weights": {"b": "c"}},
        {"Strategy": "a", "Weights": {"b": True}},
        b'{"Strategy": "a", "Weights": {"b": NaN}}',
        b'{"Strategy": "a", "Weights": {"b": 1e999}}',
    ],
    ids=str,
)
def test_what_is_no_policy_cannot_be_read(value):
    with pytest.raises(ValueError, match=r"."):
        decoded(KEYS.policy, value)


@pytest.mark.parametrize("value", [b"1", {"ID": "w-2"}, {"Since": -1}, {"Since": "now"}], ids=str)
def test_what_is_no_cordon_cannot_be_read(value):
    with pytest.raises(ValueError, match=r"."):
        decoded(KEYS.cordon("w-1"), value)


def test_a_leader_writes_and_takes_back(store, leadership):
    done, current, _ = write_decision(store, leadership, KEYS.policy, b"1", 0)
    assert (done, current.value) == (True, b"1")
    assert store.get(KEYS.policy).value == b"1"
    taken_back = write_decision(store, leadership, KEYS.policy, None, current.mod_revision)
    assert taken_back[:2] == (True, None)
    assert store.get(KEYS.policy) is None


def test_a_decision_that_came_meanwhile_is_not_overwritten_but_told(store, leadership):
    store.txn([], [Put(KEYS.policy, b"theirs")])
    done, current, _ = write_decision(store, leadership, KEYS.policy, b"ours", 0)
    assert (done, current.value) == (False, b"theirs")
    assert store.get(KEYS.policy).value == b"theirs"


@pytest.mark.parametrize("value", [b"1", None])
def test_a_leader_that_was_replaced_decides_nothing(store, leadership, value):
    there = store.txn([], [Put(KEYS.cordon("w-1"), b"{}")]).revision
    store.txn([], [Delete(leadership.key)])
    store.txn([], [Put(leadership.key, b"master2-h:2")])
    with pytest.raises(LeadershipLost):
        write_decision(store, leadership, KEYS.cordon("w-1"), value, there)
    assert store.get(KEYS.cordon("w-1")).value == b"{}"
