"""etcd goes away and comes back: nodes go on, or stop in time and come back."""

import time

import pytest

from crawler.coordination.etcd import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import CrawlerError
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.ports import free_ports
from tests.integration.lab import FOUR, TASKS, TTL_S, Lab
from tests.waiting import eventually

BACK_S = 2.0
"""Within this time of etcd's return everything works as before."""


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab):
    """Two masters and two workers that run five tasks, 3 and 2."""
    shared_lab.settle()
    return shared_lab


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_short_absence_moves_nothing(lab, how):
    before, registrations = lab.resources(), lab.keys("/micro/registry/")
    starts, leader = dict(lab.site.starts), lab.leading()
    if how == "killed":
        lab.etcd.kill()
    lab.etcd.restart()
    returned_s = time.monotonic()
    eventually(lambda: writes(lab), BACK_S, what="a task can be added")
    for title in FOUR:
        left_s = returned_s + BACK_S - time.monotonic()
        eventually(lambda t=title: lab[t].call("GET", "/readyz")[0] == 200, left_s, what=title)
    # A whole time to live later everybody is still the same: the leases are being renewed.
    eventually(lambda: time.monotonic() > returned_s + TTL_S + 1)
    assert lab.keys("/micro/registry/") == registrations
    assert lab.leading() == leader
    assert lab.resources() == before
    assert lab.site.starts == starts


@pytest.mark.parametrize("how", ["killed", "frozen"])
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
    eventually(lambda: len(anew(lab, old)) == 4, BACK_S, what="all four are registered anew")
    left_s = returned_s + BACK_S - time.monotonic()
    eventually(lambda: len(lab.running()) == 5 and lab.resources() != before, left_s)
    for task in TASKS:
        eventually(lambda t=task: lab.site.crawlers(t, returned_s), what=f"{task} is crawled")
        assert len(lab.site.crawlers(task, returned_s)) == 1


def writes(lab):
    """Whether a task can be added and deleted."""
    master = lab["master-1"]
    added = master.call("POST", "/crawler/resource", {"name": "probe"})[0] == 200
    return added and master.call("DELETE", "/crawler/resource/probe")[0] == 200


def anew(lab, old):
    """The nodes that registered after those revisions."""
    found = lab.store.range("/micro/").items
    return {kv.key for kv in found if kv.mod_revision not in old}
