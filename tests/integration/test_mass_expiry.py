"""A thousand workers die within a second: the leader leads on, answers, and moves all they had."""

import gevent
import pytest
from gevent.pool import Pool

from crawler.coordination.keys import WORKER
from crawler.coordination.registration import encode_node
from crawler.coordination.store import Put
from crawler.model.records import Node, Query, Spec
from tests.clusters import CALL, KEYS, Cluster
from tests.waiting import PATIENCE_S, eventually

TTL_S = 10
"""Of the leader's own lease."""
LASTS_S = 600
"""No lease of a worker ends by itself: a busy machine needs many seconds to register them all."""
SURVIVOR = "survivor"


@pytest.fixture
def cluster(etcd_store, tmp_path):
    cluster = Cluster(tmp_path, store=etcd_store, ttl_s=TTL_S)
    yield cluster
    for client in cluster.clients:
        client.close()
    for node in reversed(cluster.nodes):
        node.stop()


def register(store, name):
    """A registration with nobody behind it; its lease."""
    lease, _ = store.lease_grant(LASTS_S)
    node = Node(KEYS.node_id(WORKER, name), "192.0.2.1:9090")
    value = encode_node(KEYS.service(WORKER), node)
    store.txn([], [Put(KEYS.registration(WORKER, node.id), value, lease)])
    return lease


def observe(client, stop, answers):
    """Ask all the time, and count the answers. Raises if one does not come in time."""
    while not stop.is_set():
        client.list(Query(1), CALL)
        answers.append(len(answers))
        gevent.sleep(0.02)


@pytest.mark.faults
@pytest.mark.parametrize("workers", [100, 1000])
def test_leases_that_end_by_the_hundred_within_a_second_cost_no_leadership(
    cluster, etcd_store, workers
):
    register(etcd_store, SURVIVOR)
    leases = Pool(32).map(lambda number: register(etcd_store, f"{number}"), range(workers))
    seeds = tuple(Spec(f"task-{number}") for number in range(workers))
    master = cluster.master("1", tasks=seeds)
    client = cluster.client(master)
    leading = etcd_store.range(KEYS.election).items
    assert len(set(cluster.owners().values())) > workers * 0.9
    stop, answers = gevent.event.Event(), []
    observer = gevent.spawn(observe, client, stop, answers)
    Pool(32).map(etcd_store.lease_revoke, leases)  # as etcd does with a lease that is over
    eventually(
        lambda: set(cluster.owners().values()) == {SURVIVOR},
        what="all tasks are where a worker lives",
    )
    stop.set()
    observer.get(timeout=PATIENCE_S)
    assert etcd_store.range(KEYS.election).items == leading, "the same leader all the time"
    assert master._membership.session.lease.remaining_s > 0
    assert answers
