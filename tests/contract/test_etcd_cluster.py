"""etcd of three members: one that is lost, in whatever way, is not missed."""

import time

import gevent
import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import Retryable
from crawler.local.etcd_cluster import EtcdCluster
from crawler.settings.sections import EtcdSettings
from tests.depth import deep
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


class Client:
    """Reads, writes, renews a lease and watches all the time; notes when each last succeeded."""

    def __init__(self, endpoints):
        self.store = EtcdStore(endpoints, timeout_s=1.0, silence_s=1.0)
        self.done_s = {}
        self._lease, _ = eventually(lambda: self._tried(lambda: self.store.lease_grant(60)))
        self._seen = self.store.txn([], [Put("/client", b"0")]).revision
        self._greenlets = [
            gevent.spawn(self._again_and_again, what, call)
            for what, call in {
                "read": lambda: self.store.get("/client"),
                "write": lambda: self.store.txn([], [Put("/client", b"x")]),
                "renewal": lambda: self.store.lease_keepalive(self._lease, 0.5),
                "watch": self._watch,
            }.items()
        ]

    def all_since(self, then_s):
        """Whether each of the four succeeded with something that began after that time."""
        return len(self.done_s) == 4 and min(self.done_s.values()) > then_s

    def close(self):
        gevent.killall(self._greenlets)
        self.store.close()

    def _again_and_again(self, what, call):
        while True:
            begun_s = time.monotonic()
            if self._tried(call):
                self.done_s[what] = begun_s
            gevent.sleep(0.02)

    def _watch(self):
        """An event of a write that came after this watch was opened anew, or went on."""
        for batch in self.store.watch("/client", self._seen + 1):
            self._seen = batch.revision
            self.done_s["watch"] = time.monotonic()

    def _tried(self, call):
        try:
            return call()
        except Retryable:
            return None


@pytest.fixture
def three(cluster):
    """Three members, all of which answer: a test may have lost one, which may still catch up."""
    for member in cluster.members:
        store = EtcdStore([member.endpoint], timeout_s=1.0)
        eventually(lambda s=store: written(s, "/answers", b"1"), what="each answers")
        store.close()
    return cluster


@pytest.mark.parametrize(
    ("how", "who"),
    [
        ("killed", "the leader, which it talks to"),
        ("frozen", "a follower"),
        ("frozen", "another leader"),
        pytest.param("frozen", "the leader, which it talks to", marks=deep),
        pytest.param("killed", "a follower", marks=deep),
        pytest.param("killed", "another leader", marks=deep),
    ],
)
def test_one_member_that_is_lost_is_not_missed(three, how, who):
    leader = eventually(lambda: next((m for m in three.members if m.leads()), None))
    others = [member for member in three.members if member is not leader]
    lost, first = {
        "the leader, which it talks to": (leader, leader),
        "a follower": (others[0], others[0]),
        "another leader": (leader, others[0]),
    }[who]
    rest = [endpoint for endpoint in three.endpoints if endpoint != first.endpoint]
    client = Client([first.endpoint, *rest])
    eventually(lambda: client.all_since(0), what="all is well at first")
    lost_s = time.monotonic()
    if how == "killed":
        lost.kill()
    else:
        lost.pause()
    # A deadline of a second, then etcd's own election where its leader is lost.
    eventually(lambda: client.all_since(lost_s + 0.5), what="all goes on")
    assert client.store.endpoint != lost.endpoint
    if how == "killed":
        lost.restart()
    else:
        lost.resume()
    back_s = time.monotonic()
    eventually(lambda: client.all_since(back_s), what="its return disturbs nobody")
    client.close()


def test_processes_begin_with_different_members(cluster):
    settings = EtcdSettings(endpoints=cluster.endpoints)
    stores = [EtcdStore.open(settings, ".", silence_s=5.0) for _ in range(60)]
    assert {store.endpoint for store in stores} == set(cluster.endpoints)
    for store in stores:
        store.close()
