"""Rules and alerts as etcd stores them: only the leader writes, but for one: that nobody leads."""

import json
from dataclasses import replace

import pytest

from crawler.coordination.alerts import Alerts, decode, encode, encode_rule
from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue, Put
from crawler.errors import Conflict, LeadershipLost
from crawler.model.alerts import Alert, AlertRule, When
from crawler.model.records import Leadership
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
RULE = AlertRule("few", When.FEW_ITEMS, {"team": "a"}, ("ops", "chat"), 0.8, 5.5, "ann")
ALERT = Alert(
    *("few", When.FEW_ITEMS, "task x", "1/2", "few items", 5),
    *({"team": "a"}, 6, "it is over", ("ops",)),
)


@pytest.fixture
def alerts(store, clock, supervisor):
    made = Alerts(store, KEYS, clock)
    made.mirror.start(supervisor)
    eventually(made.mirror.listed.is_set)
    return made


@pytest.fixture
def leadership(store):
    return Leadership("leader", store.txn([], [Put("leader", b"1")]).revision)


def decoded(key, value):
    return decode(KEYS, KeyValue(key, value, 1, 1))


def test_what_is_stored_comes_back_as_it_was():
    assert decoded(KEYS.alert_rule("few"), encode_rule(RULE)) == RULE
    found = decoded(KEYS.alert(ALERT.key), encode(ALERT))
    assert found == replace(ALERT, mod_revision=1)
    assert decoded(f"{KEYS.alerts}other", b"x") is None


@pytest.mark.parametrize(
    "wrong", [{"When": "odd"}, {"Owed": [1]}, {"Since": -1}, {"Labels": {"a": 1}}, {"Text": 5}]
)
def test_what_no_leader_writes_is_refused(wrong):
    value = json.dumps({**json.loads(encode(ALERT)), **wrong}).encode()
    with pytest.raises(ValueError, match=r"."):
        decoded(KEYS.alert(ALERT.key), value)


def test_of_two_decisions_one_counts(alerts, leadership):
    alerts.put(leadership, ALERT)
    [stored] = alerts.found().values()
    alerts.put(leadership, stored.told("ops"))
    with pytest.raises(Conflict):
        alerts.put(leadership, stored)
    assert [each.owed for each in alerts.found().values()] == [()]


def test_a_leader_that_was_replaced_writes_nothing(alerts, leadership):
    old = replace(leadership, revision=leadership.revision + 5)
    for write in (
        lambda: alerts.put(old, ALERT),
        lambda: alerts.put_rule(old, RULE),
        lambda: alerts.set_mark(old, 7),
    ):
        with pytest.raises(LeadershipLost):
            write()
    assert (alerts.found(), alerts.rules(), alerts.mark()) == ({}, {}, 0)


def test_without_a_leader_the_first_alone_stores_it(alerts):
    stored = alerts.put_alone(ALERT)
    assert stored is not None
    assert alerts.put_alone(ALERT) is None
    assert alerts.put_alone(stored.told("ops")) is not None
    assert [each.owed for each in alerts.found().values()] == [()]


def test_rules_and_the_mark_are_replaced_and_removed(alerts, leadership):
    alerts.put_rule(leadership, RULE)
    alerts.put_rule(leadership, replace(RULE, limit=0.1))
    alerts.set_mark(leadership, 7)
    alerts.set_mark(leadership, 9)
    assert (alerts.rules()["few"].limit, alerts.mark()) == (0.1, 9)
    alerts.remove_rule(leadership, "few")
    assert alerts.rules() == {}
