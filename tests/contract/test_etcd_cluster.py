"""etcd of three members: one that is lost, in whatever way, is not missed."""

import pytest

from crawler.coordination.etcd import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import Retryable
from crawler.local.etcd_cluster import EtcdCluster
from tests.waiting import eventually


@pytest.fixture(scope="module")
def cluster():
    with EtcdCluster() as etcd:
        yield etcd


def written(store, key, value):
    """Whether it was written and read back; False while there is no answer."""
    try:
        store.txn([], [Put(key, value)])
        return store.get(key).value == value
    except Retryable:
        return False


def test_every_member_serves_and_one_leads(cluster):
    eventually(lambda: [member.leads() for member in cluster.members].count(True) == 1)
    for number, endpoint in enumerate(cluster.endpoints):
        store = EtcdStore([endpoint])
        assert written(store, f"/member/{number}", b"1")
        store.close()


def test_a_member_comes_back_with_its_port_and_data(cluster):
    member = cluster.members[0]
    member.kill()
    assert member.pid is None
    member.restart()
    store = EtcdStore([member.endpoint])
    assert eventually(lambda: written(store, "/back", b"1"))
    store.close()


def test_etcdctl_asks_all_members(cluster):
    assert len(cluster.etcdctl("member", "list").splitlines()) == 3
