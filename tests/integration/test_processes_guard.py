"""Nodes and their guards, as processes: a death is told at once, and nothing else changes.

The leases are so long that no test waits for the end of one: what happens here, a guard has done.
"""

import os
import signal

import pytest

from tests.guards import Ending, guard_of
from tests.integration.lab import FOUR, TASKS, Lab
from tests.waiting import eventually

TTL_S = 300


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab"), ttl_s=TTL_S) as lab:
        yield lab


def guard(lab, title):
    """The number of the guard of a node."""
    return eventually(lambda: guard_of(lab[title].process.pid), what=f"{title} has a guard")


def test_the_tasks_of_a_worker_that_is_killed_are_anothers_at_once(lab):
    with Ending(guard(lab, "worker-1")) as ended:
        lab["worker-1"].process.kill()
        eventually(lambda: lab.all_on("worker-2"), what="all run on worker 2")
        eventually(ended.is_gone, what="its guard has ended")
    assert lab.registered() == {*FOUR} - {"worker-1"}


def test_when_the_leader_is_killed_the_next_one_takes_a_write_at_once(lab):
    leader, other = lab.masters()
    leader.process.kill()
    lab.add("added-meanwhile")
    assert lab.leading() == other.candidate
    lab.delete("added-meanwhile")


def test_a_guard_that_is_killed_is_followed_by_another_and_costs_nothing(lab):
    before, registrations = lab.resources(), lab.keys("/micro/registry/")
    for title in ("worker-1", "master-1"):
        first = guard(lab, title)
        os.kill(first, signal.SIGKILL)
        eventually(lambda t=title, g=first: guard(lab, t) != g, what="another one is there")
        assert "the guard of this node has ended" in lab[title].process.tail(200)
    assert lab.keys("/micro/registry/") == registrations
    assert lab.resources() == before
    lab["worker-1"].process.kill()
    eventually(lambda: lab.all_on("worker-2"), what="the second guard does what the first would")


@pytest.mark.parametrize("title", ["worker-1", "master-1"])
def test_a_node_that_stops_in_order_leaves_no_guard(lab, title):
    before = lab[title].process.tail(1000).count("its guard")
    with Ending(guard(lab, title)) as ended:
        lab[title].process.stop()
        assert ended.is_gone()
    assert lab[title].process.tail(1000).count("its guard") == before, "it had nothing to do"


def test_a_worker_that_is_killed_comes_back_under_its_id_at_once(lab):
    for _ in range(2):
        lab["worker-1"].process.kill()
        lab.start("worker-1")
    eventually(lambda: len(lab.running(*TASKS)) == 5, what="all tasks run")


def test_a_guard_that_does_not_reach_etcd_changes_nothing(lab):
    before, old = lab.resources(), lab.keys("/micro/registry/")
    worker = lab["worker-1"].process
    with Ending(guard(lab, "worker-1")) as ended:
        lab.etcd.kill()
        worker.kill()
        eventually(ended.is_gone, what="its guard has given up")
    lab.etcd.restart()
    eventually(lambda: lab.registered() == {*FOUR}, what="all are as they were")
    assert lab.keys("/micro/registry/") == old
    assert lab.resources() == before
    assert "did not revoke" in worker.tail(200)
    for kv in lab.store.range("/micro/registry/go.micro.server.worker/").items:
        if kv.key.endswith("worker-1"):
            lab.store.lease_revoke(kv.lease)  # nobody waits for it
