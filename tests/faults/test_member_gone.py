"""One member of an etcd of three is gone, or two are: with two that remain all goes on."""

import time

import gevent
import pytest

from crawler.local.etcd_cluster import EtcdCluster
from tests.faults import history
from tests.faults.arena import open_arena
from tests.waiting import eventually


class MemberGone:
    """Members of etcd end, or stand still; healing brings them back with their data."""

    def __init__(self, *members, frozen=False):
        self._members = members
        self._frozen = frozen

    def inject(self, arena):
        self._gone_s = time.monotonic()
        for member in self._members:
            member.pause() if self._frozen else member.kill()

    def heal(self, arena):
        for member in self._members:
            member.resume() if self._frozen else member.launch()
        for member in self._members:
            member.wait_until_it_serves(20.0)
        if len(self._members) > 1:  # no quorum: nobody could do anything meanwhile
            arena.excused.append((self._gone_s, time.monotonic()))


@pytest.fixture(scope="module")
def cluster():
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def arena(cluster, tmp_path_factory):
    """Two masters, two workers and six tasks on an etcd of three members."""
    folder = tmp_path_factory.mktemp("arena-of-three")
    with open_arena(folder, endpoints=cluster.endpoints, ttl_s=5) as arena:
        arena.start(masters=2, workers=2)
        arena.add(*(f"steady-{number}" for number in range(6)))
        eventually(arena.is_quiet, what="every task is run by a live worker")
        yield arena


@pytest.mark.faults
@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
@pytest.mark.parametrize("which", ["the one that leads", "the one that is asked first"])
def test_one_of_three_costs_nobody_the_lease(arena, cluster, which, frozen):
    leads = which == "the one that leads"
    fault = MemberGone(cluster.leader if leads else cluster.members[0], frozen=frozen)
    members, terms = arena.lab.keys("/micro/"), history.leaders(arena.recorder.catch_up())
    gone_s = time.monotonic()
    fault.inject(arena)
    arena.client.add(f"{which}, {frozen}")
    # Leases that nobody could renew would have ended by then.
    eventually(lambda: time.monotonic() > gone_s + 2 * arena.lab.ttl_s)
    arena.client.add(f"{which}, {frozen}, later")
    fault.heal(arena)
    arena.check()
    assert arena.lab.keys("/micro/") == members
    assert history.leaders(arena.recorder.catch_up()) == terms


@pytest.mark.faults
def test_two_of_three_stop_everything_until_one_is_back(arena, cluster):
    fault = MemberGone(*cluster.members[:2])
    fault.inject(arena)
    for node in arena.lab.nodes("master") + arena.lab.nodes("worker"):
        eventually(lambda n=node: n.call("GET", "/readyz")[0] == 503, what=f"{node.title} stops")
    adding = gevent.spawn(arena.client.add, "asked without a quorum")
    fault.heal(arena)
    adding.get()
    arena.at_full_strength()
    arena.check()
