"""A thousand workers die within a second: the leader leads on, answers, and moves all they had."""

import gevent
import pytest
from gevent.pool import Pool

from crawler.clock import SystemClock
from crawler.coordination.keys import WORKER
from crawler.coordination.registration import encode_node
from crawler.coordination.store import Put
from crawler.model.records import Node, Query, Spec
from tests.clusters import CALL, KEYS, Cluster
from tests.waiting import PATIENCE_S, eventually

TTL_S = 4
"""Long enough to register them all before the first one ends."""
SURVIVOR = "survivor"


@pytest.fixture
def cluster(etcd_store, tmp_path):
    cluster = Cluster(tmp_path, store=etcd_store, ttl_s=TTL_S)
    yield cluster
    for client in cluster.clients:
        client.close()
    for node in reversed(cluster.nodes):
        node.stop()


def register(store, name, ttl_s):
    """A registration with nobody behind it, which ends after that time."""
    lease, _ = store.lease_grant(ttl_s)
    node = Node(KEYS.node_id(WORKER, name), "192.0.2.1:9090")
    value = encode_node(KEYS.service(WORKER), node)
    store.txn([], [Put(KEYS.registration(WORKER, node.id), value, lease)])


def registered(store):
    return len(store.range(KEYS.registrations(WORKER)).items)


def observe(client, stop, answers):
    """Ask all the time, and note how long each answer took."""
    clock = SystemClock()
    while not stop.is_set():
        asked_s = clock.monotonic()
        client.list(Query(1), CALL)
        answers.append(clock.monotonic() - asked_s)
        gevent.sleep(0.02)


@pytest.mark.faults
@pytest.mark.parametrize("workers", [100, 1000])
def test_leases_that_end_by_the_hundred_within_a_second_cost_no_leadership(
    cluster, etcd_store, workers
):
    register(etcd_store, SURVIVOR, 600)
    Pool(32).map(lambda number: register(etcd_store, f"{number}", TTL_S), range(workers))
    seeds = tuple(Spec(f"task-{number}") for number in range(workers))
    master = cluster.master("1", tasks=seeds)
    client = cluster.client(master)
    assert registered(etcd_store) == workers + 1, "none has died before the leader knew it"
    leading = etcd_store.range(KEYS.election).items
    assert len(set(cluster.owners().values())) > workers * 0.9
    stop, answers = gevent.event.Event(), []
    observer = gevent.spawn(observe, client, stop, answers)
    eventually(
        lambda: set(cluster.owners().values()) == {SURVIVOR},
        within_s=20,
        what="all tasks are where a worker lives",
    )
    stop.set()
    observer.get(timeout=PATIENCE_S)
    assert etcd_store.range(KEYS.election).items == leading, "the same leader all the time"
    assert master._membership.session.lease.remaining_s > 0
    assert max(answers) < CALL.timeout_s
