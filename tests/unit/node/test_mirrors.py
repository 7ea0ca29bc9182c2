"""What a master notes about the nodes that it mirrors, and what it leaves out."""

import pytest

from crawler.clock import ManualClock
from crawler.coordination.keys import MASTER, WORKER, Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.registration import encode_node
from crawler.coordination.registry import decode_registration
from crawler.coordination.store import KeyValue
from crawler.model.records import Node
from crawler.node.master import mirrors as mirrors_module
from crawler.node.master.draft import Draft
from crawler.node.master.mirrors import Mirrors
from crawler.node.master.placement import Placer
from crawler.node.master.workers import WorkerSnapshot
from crawler.scheduler.framework import Framework
from crawler.settings.scheduler import SchedulerSettings
from crawler.settings.sections import CoordinationSettings
from tests.unit.node.scene import stored

KEYS = Keys(CoordinationSettings())


@pytest.mark.parametrize(("metadata", "noted"), [({}, True), ({"draining": "true"}, False)])
def test_the_host_of_a_master_that_went_without_notice_is_noted(metadata, noted):
    clock, woken = ManualClock(), []
    mirrors = Mirrors(MemoryStore(), KEYS, clock, lambda: woken.append(True))
    node = Node(KEYS.node_id(MASTER, "2"), "10.0.0.7:9091", metadata=metadata)
    key = KEYS.registration(MASTER, node.id)
    value = encode_node(KEYS.service(MASTER), node)
    mirrors.masters.apply(key, KeyValue(key, value, 5, 5), 5)
    assert mirrors.hosts_lost == {}
    clock.advance(3.0)
    mirrors.masters.apply(key, None, 6)
    assert mirrors.hosts_lost == ({"10.0.0.7": clock.monotonic()} if noted else {})
    assert bool(woken) is noted, "a worker of that host may have died with it"


def registered(mirrors, number, revision, present=True):
    node = Node(KEYS.node_id(WORKER, number), "10.0.0.7:9090", labels={"zone": "a"})
    key = KEYS.registration(WORKER, node.id)
    value = KeyValue(key, encode_node(KEYS.service(WORKER), node), revision, revision)
    mirrors.workers.apply(key, value if present else None, revision)
    return node.id


@pytest.mark.parametrize("step", ["_enter", "_remove"])
def test_a_worker_that_cannot_be_counted_is_left_out_by_name_and_the_others_stay(
    step, monkeypatch, caplog
):
    mirrors = Mirrors(MemoryStore(), KEYS, ManualClock(), lambda: None)
    pool = mirrors.cluster_state.workers
    good = registered(mirrors, "1", 5)
    if step == "_remove":
        registered(mirrors, "2", 6)
    with monkeypatch.context() as broken:
        broken.setattr(pool, step, lambda *about: 1 / 0)
        bad = registered(mirrors, "2", 7, present=step == "_enter")
    assert [each.id for each in pool.schedulable] == [good]
    [record] = caplog.records
    assert (record.fields["name"], record.fields["error"]) == (
        repr(bad),
        "ZeroDivisionError: division by zero",
    )
    registered(mirrors, "2", 8)
    assert [each.id for each in pool.schedulable] == [good, bad], "its next value counts again"


@pytest.mark.parametrize("step", ["_enter", "_remove"])
def test_tasks_of_a_worker_that_ends_and_cannot_be_counted_move(step, monkeypatch):
    mirrors = Mirrors(MemoryStore(), KEYS, ManualClock(), lambda: None)
    cluster_state = mirrors.cluster_state
    placer = Placer(cluster_state, Framework("least-load"), SchedulerSettings())
    good, bad = registered(mirrors, "1", 5), registered(mirrors, "2", 6)
    task = stored("a", mirrors.live_workers()[bad])
    cluster_state.see("a", task)

    def owners():
        draft = Draft({"a": task}.get, lambda: 1, lambda: 99, cluster_state.see)
        placer.place(draft, WorkerSnapshot(mirrors.live_workers()), 1.0, 1)
        return [change.after.owner.node_id for change in draft.changes()]

    assert owners() == []
    monkeypatch.setattr(cluster_state.workers, step, lambda *about: 1 / 0)
    registered(mirrors, "2", 7, present=step == "_enter")
    assert owners() == [good]


def test_parked_tasks_are_woken_when_a_worker_leaves_and_cannot_be_counted(monkeypatch):
    mirrors = Mirrors(MemoryStore(), KEYS, ManualClock(), lambda: None)
    changes = mirrors.cluster_state.changes
    changes.begin((), ())
    registered(mirrors, "1", 5)
    assert not changes.take().left
    monkeypatch.setattr(mirrors.cluster_state.workers, "_remove", lambda *about: 1 / 0)
    registered(mirrors, "1", 6, present=False)
    assert changes.take().left


def test_a_registration_that_breaks_its_reader_is_left_out_by_name(monkeypatch, caplog):
    def reads(kv):
        if kv.key.endswith("-2"):
            raise RecursionError("too deep")
        return decode_registration(kv)

    monkeypatch.setattr(mirrors_module, "decode_registration", reads)
    mirrors = Mirrors(MemoryStore(), KEYS, ManualClock(), lambda: None)
    registered(mirrors, "2", 5)
    good = registered(mirrors, "1", 6)
    assert list(mirrors.cluster_state.candidates) == [good]
    assert caplog.records[0].fields["key"].endswith("-2")
