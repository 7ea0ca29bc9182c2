"""etcd goes away and comes back: nodes go on, or stop in time and come back."""

import re
import time

import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.local.etcd import ask
from crawler.local.etcd_cluster import EtcdCluster
from tests.integration.lab import FOUR, TASKS, TTL_S, Lab
from tests.waiting import eventually


def test_a_restart_moves_nothing(tmp_path):
    """The leases outlive it, on a slow machine too, and are renewed again afterwards."""
    with Lab(tmp_path, ttl_s=5) as lab:
        lab.settle()
        before, registrations = lab.resources(), lab.keys("/micro/registry/")
        starts, leader = dict(lab.site.starts), lab.leading()
        lab.etcd.restart()
        assert_all_are_back(lab)
        lab.etcd.kill()
        lab.etcd.restart()
        assert_all_are_back(lab)
        assert_leases_are_renewed(lab)
        assert lab.keys("/micro/registry/") == registrations
        assert lab.leading() == leader
        assert lab.resources() == before
        assert lab.site.starts == starts


@pytest.mark.parametrize("how", ["killed", pytest.param("frozen", marks=pytest.mark.faults)])
def test_a_long_absence_stops_the_crawls_in_time_and_all_come_back(lab, how):
    before, old = lab.resources(), {kv.mod_revision for kv in lab.store.range("/micro/").items}
    gone_s = time.monotonic()
    if how == "killed":
        lab.etcd.kill()
    else:
        lab.etcd.pause()
    for title in FOUR:
        eventually(lambda t=title: lab[t].call("GET", "/readyz")[0] == 503, what=f"{title} stops")
    # etcd might give the tasks to others from now on, if it was only out of reach.
    eventually(lambda: time.monotonic() > gone_s + TTL_S)
    assert not [task for task in TASKS if lab.site.crawlers(task, gone_s + TTL_S)]
    if how == "killed":
        lab.etcd.restart()
    else:
        lab.etcd.resume()
    returned_s = time.monotonic()
    eventually(lambda: len(anew(lab, old)) == 4, what="all four are registered anew")
    eventually(lambda: len(lab.running()) == 5 and lab.resources() != before, what="all run anew")
    for task in TASKS:
        eventually(lambda t=task: lab.site.crawlers(t, returned_s), what=f"{task} is crawled")
        assert len(lab.site.crawlers(task, returned_s)) == 1


@pytest.mark.faults
def test_one_member_of_three_can_freeze(tmp_path):
    """The nodes turn to the next endpoint in time: no lease is lost, and the task stays."""
    with EtcdCluster() as etcd:
        leader = eventually(lambda: next((m for m in etcd.members if m.leads()), None))
        followers = {m.endpoint: m for m in etcd.members if m is not leader}
        with Lab(tmp_path, list(followers), ttl_s=3) as lab:
            lab.start("master-1", "worker-1")
            lab.add("task")
            eventually(lambda: lab.running("task"), what="a task runs")
            before, registrations = lab.resources(), lab.keys("/micro/registry/")
            # Each node begins with any of them: freeze the one that most watches are at.
            frozen, other = sorted(followers, key=watches, reverse=True)
            assert watches(frozen)
            lab.store.close()
            lab.store = EtcdStore([other])
            gone_s = time.monotonic()
            followers[frozen].pause()
            # Leases that nobody renewed have ended by then: etcd looks every half second.
            eventually(lambda: time.monotonic() > gone_s + lab.ttl_s + 0.7)
            assert lab.keys("/micro/registry/") == registrations
            assert lab.resources() == before
            assert writes(lab)
            assert lab.site.crawlers("task", gone_s + lab.ttl_s)


def watches(endpoint):
    """How many a member of etcd has open, by its own count."""
    lines = ask(endpoint, "GET", "/metrics").decode().splitlines()
    [count] = [line for line in lines if line.startswith("etcd_debugging_mvcc_watcher_total ")]
    return int(count.split()[1])


def assert_all_are_back(lab):
    """Writes are accepted, and every node is ready."""
    eventually(lambda: writes(lab), what="a task can be added")
    for title in FOUR:
        eventually(lambda t=title: lab[t].call("GET", "/readyz")[0] == 200, what=title)


def assert_leases_are_renewed(lab):
    """What is left of each node's lease rises, where it could only fall."""
    least, renewed = {}, set()

    def look():
        for title in FOUR:
            left_s = remaining_s(lab[title])
            least[title] = min(left_s, least.get(title, left_s))
            renewed.update({title} if left_s > least[title] else ())
        return len(renewed) == len(FOUR)

    eventually(look, lab.ttl_s, what="all leases are renewed")


def remaining_s(node):
    """What is left of a node's lease, as it says itself."""
    metrics = node.call("GET", "/metrics")[2].decode()
    return float(re.search(r"^crawler_lease_remaining_seconds (.+)$", metrics, re.M)[1])


def writes(lab):
    """Whether a task can be added and deleted."""
    master = lab["master-1"]
    added = master.call("POST", "/crawler/resource", {"name": "probe"})[0] == 200
    return added and master.call("DELETE", "/crawler/resource/probe")[0] == 200


def anew(lab, old):
    """The nodes that registered after those revisions."""
    found = lab.store.range("/micro/").items
    return {kv.key for kv in found if kv.mod_revision not in old}
