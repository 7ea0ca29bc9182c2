"""Which requests give a task the span to which its runs belong, and what keeps it."""

import json
from dataclasses import replace

import pytest

from crawler.coordination.codec import decode_resource, encode_resource
from crawler.model.records import Report, Spec, State
from crawler.model.schedules import mark_of
from crawler.node.master.begin import Begin
from crawler.node.master.command_queue import QueuedCommand
from crawler.node.master.commands import Add, Again, Record, Update
from crawler.node.master.life import PauseTask, ResumeTask, RunTask, StopTask
from tests.unit.node.scene import W1, stored, worker
from tests.unit.node.test_shards import BOOKS, NAMES, Leader

OLD, NEW = "00-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-" + "2" * 32 + "-" + "2" * 16 + "-01"


class Asked:
    """A command of a request that belongs to a trace."""

    def __init__(self, command, trace=NEW):
        self._queued = QueuedCommand(command, 0.0, trace=trace)

    def apply(self, draft):
        self._queued.decide(draft)
        assert not draft.trace, "it is that of one request alone"


def present(**about):
    return stored("a", trace=OLD, **about)


DONE = {"state": State.DONE, "owner": W1}
PAUSED = {"state": State.PENDING, "owner": None}


@pytest.mark.parametrize(
    ("about", "command", "trace"),
    [
        ({}, Add(Spec("a")), OLD),
        ({}, Update(Spec("a", labels={"team": "b"})), OLD),
        ({}, Update(Spec("a", parameters={"depth": 2})), NEW),
        ({}, Again("a"), NEW),
        ({}, PauseTask("a", "by ann"), OLD),
        ({}, StopTask("a", "by ann"), OLD),
        (DONE, RunTask("a"), NEW),
        (DONE, Update(Spec("a", labels={"team": "b"})), OLD),
        (DONE, Begin(Spec("a"), mark_of(present(**DONE))), NEW),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_asks_for_a_run_gives_it_the_trace(about, command, trace):
    leader = Leader(present(**about), workers=2)
    leader.run(Asked(command))
    assert leader.stored["a"].trace == trace


def test_who_resumes_a_task_gives_its_run_the_trace():
    leader = Leader(present(), workers=2)
    leader.run(Asked(PauseTask("a", "by ann")))
    leader.run(Asked(ResumeTask("a")))
    assert (leader.stored["a"].trace, leader.stored["a"].owner is None) == (NEW, False)


def test_a_task_keeps_it_over_retries_and_moves():
    leader = Leader(workers=2)
    leader.run(Asked(Add(Spec("a", retries=3))))
    leader.hear("a", state=State.FAILED, reason="no luck")
    leader.now_s += 1000
    leader.run()
    first = leader.stored["a"].owner.node_id
    leader.leave(first)
    leader.run()
    moved = leader.stored["a"]
    assert (moved.trace, moved.failed_on != ()) == (NEW, True)
    assert moved.owner.node_id != first
    leader.run(Asked(Record(moved.owner.node_id, [report(moved)]), trace=""))
    assert leader.stored["a"].trace == NEW


def report(resource):
    return Report(resource.name, resource.id, resource.epoch, State.RUNNING)


def test_shards_have_the_trace_of_their_task():
    leader = Leader()
    leader.run(Asked(Add(BOOKS), OLD))
    assert [leader.stored[name].trace for name in NAMES] == [OLD] * 3
    leader.run(Asked(Again("books")))
    assert [leader.stored[name].trace for name in NAMES] == [NEW] * 3
    leader.join(worker(4))
    leader.run(Asked(Update(replace(BOOKS, workers=4)), OLD))
    assert leader.stored["books~3"].trace == NEW, "it belongs to a run that goes on"


def test_it_is_a_field_of_its_own_in_etcd_and_absent_without_a_trace():
    raw = encode_resource(present())
    assert json.loads(raw)["Trace"] == OLD
    assert decode_resource("a", raw, 1).trace == OLD
    assert b"Trace" not in encode_resource(stored("a"))
