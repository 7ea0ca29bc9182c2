"""Schedules as etcd stores them: only the leader writes them, and of two decisions one counts."""

import json
from dataclasses import replace

import pytest

from crawler.coordination.keys import Keys
from crawler.coordination.schedules import Schedules, decode_schedule, encode_schedule
from crawler.coordination.store import KeyValue
from crawler.errors import Conflict, LeadershipLost
from crawler.model.constraints import Constraints, Neighbour
from crawler.model.records import Leadership, Spec
from crawler.model.schedules import Firing, Mark, Overlap, Schedule, ScheduleWish
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
TASK = Spec(
    "shop",
    "books",
    {"site": {"a": [1, 2.5]}},
    {"team": "a"},
    -3,
    Constraints("w-1", near=(Neighbour("app", "db"),)),
    2,
    4,
    isolated=True,
)
WISH = ScheduleWish("nightly", "30 3 * * *", TASK, "Europe/Berlin", Overlap.QUEUE, 60.0, 5.0, True)
FIRING = Firing(7 * 10**9, "shop", Mark("17", 3), 8 * 10**9)
SCHEDULE = Schedule(WISH, 5, 6, FIRING, 8, 9, "waits", 1)


@pytest.fixture
def schedules(store, clock, supervisor):
    made = Schedules(store, KEYS, clock)
    made.mirror.start(supervisor)
    eventually(made.mirror.listed.is_set)
    return made


def decoded(value, name="nightly"):
    return decode_schedule(KEYS, KeyValue(KEYS.schedule(name), value, 1, 1))


@pytest.mark.parametrize(
    "schedule",
    [
        SCHEDULE,
        replace(SCHEDULE, firing=None),
        replace(SCHEDULE, firing=replace(FIRING, before=None)),
        Schedule(ScheduleWish("nightly", "@every 1s", Spec("nightly")), 0, 0, mod_revision=1),
    ],
)
def test_a_schedule_comes_back_as_it_was(schedule):
    assert decoded(encode_schedule(schedule)) == schedule


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"When": "daily"}, "'daily' is not allowed; allowed are five fields"),
        ({"When": 7}, "When is 7"),
        ({"TimeZone": "Mars"}, "'Mars' is not allowed"),
        ({"Overlap": "both"}, "both"),
        ({"Jitter": -1}, "Jitter is -1"),
        ({"CatchUp": 1e300}, "CatchUp is 1e"),
        ({"Paused": 1}, "Paused is 1"),
        ({"Decided": -1}, "Decided is -1"),
        ({"Decided": 2**63}, "Decided is 9"),
        ({"Name": "other"}, "Name is 'other', but the key says 'nightly'"),
        ({"Task": {"Name": "a/b"}}, "the name of the task is 'a/b'"),
        ({"Task": {"Name": "a", "Workers": 10**6}}, "Workers is 1000000"),
        ({"Firing": {"Moment": 1}}, "the task of the firing is ''"),
        ({"Firing": [1]}, "Firing is"),
    ],
)
def test_a_value_that_is_no_schedule_is_refused(change, told):
    value = json.dumps({**json.loads(encode_schedule(SCHEDULE)), **change}).encode()
    with pytest.raises(ValueError, match=told):
        decoded(value)


def test_what_no_name_can_be_is_no_schedule():
    assert decoded(encode_schedule(SCHEDULE), "a/b") is None
    assert decoded(encode_schedule(SCHEDULE), "") is None


def test_of_two_decisions_on_one_schedule_one_counts(schedules, leadership):
    changed = []
    schedules.on_change = changed.append
    stored = schedules.put(leadership, replace(SCHEDULE, mod_revision=0))
    assert schedules.get("nightly") == stored == schedules.all()["nightly"]
    after = schedules.put(leadership, replace(stored, decided_ns=10))
    with pytest.raises(Conflict, match="'nightly' was changed at the same moment"):
        schedules.put(leadership, replace(stored, decided_ns=11))
    assert schedules.get("nightly") == after
    with pytest.raises(Conflict):
        schedules.remove(leadership, stored)
    schedules.remove(leadership, after)
    assert schedules.get("nightly") is None
    assert changed == ["nightly"] * 3


def test_who_leads_no_more_decides_nothing(schedules, leadership):
    stored = schedules.put(leadership, replace(SCHEDULE, mod_revision=0))
    former = Leadership(leadership.key, leadership.revision - 1)
    with pytest.raises(LeadershipLost):
        schedules.put(former, replace(stored, decided_ns=10))
    with pytest.raises(LeadershipLost):
        schedules.remove(former, stored)
    assert schedules.get("nightly") == stored
