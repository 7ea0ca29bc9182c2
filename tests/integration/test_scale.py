"""Many resources and workers: placed evenly, and never made anew."""

import pytest

from crawler.api.backend import Call
from crawler.clock import SystemClock
from crawler.coordination.keys import WORKER
from crawler.coordination.lease import Lease
from crawler.coordination.registry import Registry
from crawler.model.records import Node, Spec
from tests.clusters import KEYS, Cluster
from tests.depth import deep
from tests.waiting import PATIENCE_S, eventually

SIZES = [pytest.param((10, 200, 3), id="200"), pytest.param((50, 2000, 10), marks=deep, id="2000")]
"""Workers, resources, and how many workers die."""


@pytest.fixture(params=[pytest.param("memory", marks=deep), "etcd"])
def cluster(request, tmp_path):
    cluster = Cluster(tmp_path, store=request.getfixturevalue(f"{request.param}_store"))
    yield cluster
    for client in cluster.clients:
        client.close()
    for node in reversed(cluster.nodes):
        node.stop()


def simulated_worker(store, number):
    """A registration with nobody behind it: what another program's worker looks like."""
    lease = Lease.grant(store, 60, SystemClock())
    node = Node(KEYS.node_id(WORKER, f"{number:02}"), f"192.0.2.{number}:9090")
    Registry(store, KEYS, WORKER).register(node, lease)
    return lease


def loads(cluster, live):
    counts = dict.fromkeys((f"{number:02}" for number in live), 0)
    for owner in cluster.owners().values():
        if owner not in counts:
            return None
        counts[owner] += 1
    return counts


def is_even(cluster, live, resources):
    counts = loads(cluster, live)
    return (
        counts
        and sum(counts.values()) == resources
        and max(counts.values()) - min(counts.values()) <= 1
    )


@pytest.mark.parametrize("size", SIZES)
def test_placed_evenly_and_moved_without_a_change_of_identity(cluster, size):
    workers, resources, deaths = size
    leases = {number: simulated_worker(cluster.store, number) for number in range(workers)}
    seeds = tuple(Spec(f"task-{number:04}") for number in range(resources))
    cluster.master("1", tasks=seeds)
    live = set(range(workers))
    eventually(lambda: is_even(cluster, live, resources), PATIENCE_S, "all tasks are placed")
    before = cluster.resources()
    for number in range(deaths):
        moving = {name for name, owner in cluster.owners().items() if owner == f"{number:02}"}
        unmoved = {n: r.epoch for n, r in cluster.resources().items() if n not in moving}
        leases[number].revoke()
        live.discard(number)
        eventually(lambda: is_even(cluster, live, resources), PATIENCE_S, f"{number} is replaced")
        assert {n: r.epoch for n, r in cluster.resources().items() if n not in moving} == unmoved
    after = cluster.resources()
    identity = {name: (r.id, r.creation_time) for name, r in before.items()}
    assert {name: (r.id, r.creation_time) for name, r in after.items()} == identity
    assert len({id for id, _ in identity.values()}) == resources


def test_the_api_s_loads_are_those_of_the_assignments(cluster):
    for number in range(5):
        simulated_worker(cluster.store, number)
    client = cluster.client(cluster.master("1"))
    for number in range(12):
        client.add(Spec(f"task-{number}"), Call(5))
    told = {
        load.node.id[-2:]: load.unfinished
        for load in client.nodes(Call(5))
        if load.role == "worker"
    }
    assert told == loads(cluster, range(5))
