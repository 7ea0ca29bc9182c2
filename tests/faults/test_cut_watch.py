"""Watches are cut, and what they missed is compacted away before they come back."""

import time

import pytest

from tests.waiting import eventually


class Cut:
    """Connections of these nodes to etcd are reset, old and new ones alike."""

    def __init__(self, *nodes):
        self._titles = [node.title for node in nodes]

    def inject(self, arena):
        for link in arena.lab.links(*self._titles):
            link.cut()

    def heal(self, arena):
        for link in arena.lab.links(*self._titles):
            link.heal()


def compact(arena):
    """Forget the history up to now, once the recorder has it."""
    arena.recorder.catch_up()
    arena.lab.etcd.etcdctl("compact", str(arena.recorder.revision))


def test_a_task_deleted_meanwhile_is_stopped(arena):
    """The worker never hears of the delete: it must find out from what is not there."""
    arena.client.add("deleted unseen")
    eventually(arena.is_quiet, what="it runs")
    title = arena.lab.running("deleted unseen")["deleted unseen"]
    fault = Cut(arena.lab[title])
    fault.inject(arena)
    arena.client.delete("deleted unseen")
    compact(arena)
    fault.heal(arena)
    eventually(lambda: stopped(arena, "deleted unseen"), what="the crawl ends")
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_a_follower_that_missed_everything_leads_well(arena):
    (follower,) = arena.followers()
    leader = arena.next_leader()
    fault = Cut(follower)
    fault.inject(arena)
    arena.add("added unseen", "gone unseen")
    arena.client.delete("gone unseen")
    compact(arena)
    fault.heal(arena)
    arena.at_full_strength()
    leader.process.kill()
    arena.client.add("the new leader's own")
    arena.lab.start(leader.title, ready=False)
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_a_leader_that_missed_the_end_of_a_worker(arena):
    leader, worker = arena.next_leader(), arena.busy_worker()
    fault = Cut(leader)
    fault.inject(arena)
    worker.process.stop()
    compact(arena)
    fault.heal(arena)
    arena.wait_until_moved(worker)
    arena.lab.start(worker.title)
    arena.at_full_strength()
    arena.check()


def stopped(arena, task):
    """Whether nobody has asked for a page of the task for half a second."""
    return not arena.lab.site.crawlers(task, time.monotonic() - 0.5)
