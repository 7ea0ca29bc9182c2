"""An etcd whose database has reached its quota, or that took an alarm for another reason."""

import itertools
import json
import logging
import time

import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import StoreFull, Unavailable
from crawler.local.etcd import EmbeddedEtcd, ask
from crawler.model.records import Query
from tests.clusters import CALL, Cluster, request
from tests.waiting import PATIENCE_S, eventually

QUOTA_BYTES = 2_000_000


@pytest.fixture
def etcd():
    """An etcd with little room."""
    started = EmbeddedEtcd(flags={"quota-backend-bytes": str(QUOTA_BYTES)})
    started.start()
    yield started
    started.stop()


@pytest.fixture
def store(etcd):
    made = EtcdStore([etcd.endpoint])
    yield made
    made.close()


def fill(store):
    """Write until etcd refuses it, which it does once it has looked at its size; the error."""
    deadline_s = time.monotonic() + PATIENCE_S
    for number in itertools.count():
        try:
            store.txn([], [Put(f"/fill/{number}", bytes(200_000))])
        except StoreFull as error:
            return error
        assert time.monotonic() < deadline_s, "etcd took far more than its quota"


def make_room(etcd, store):
    """Delete something, then what the message says: compact, defrag, take the alarm back."""
    etcd.etcdctl("del", "--prefix", "/fill/")
    etcd.etcdctl("compact", str(store.range("/fill/").revision))
    etcd.etcdctl("defrag")
    etcd.etcdctl("alarm", "disarm")


def test_what_costs_no_room_goes_on(etcd, store):
    lease, _ = store.lease_grant(60)
    store.txn([], [Put("/a", b"1", lease)])
    error = fill(store)
    assert "etcdctl alarm disarm" in str(error)
    assert (error.code, isinstance(error, Unavailable)) == ("UNAVAILABLE", True)
    assert store.get("/a").value == b"1"
    assert store.range("/a").items
    assert store.lease_keepalive(lease, 2.0) == 60
    store.lease_revoke(lease)
    assert store.get("/a") is None
    for refused in (lambda: store.lease_grant(60), lambda: store.txn([], [Put("/b", b"1")])):
        with pytest.raises(StoreFull):
            refused()
    assert store.get("/b") is None


def told(caplog):
    """What was logged of etcd being full, in its order."""
    wanted = ("etcd is full", "etcd takes writes again")
    return [record.message for record in caplog.records if record.message in wanted]


def test_it_takes_writes_again_once_there_is_room_and_each_is_told_once(etcd, store, caplog):
    caplog.set_level(logging.INFO)
    fill(store)
    for _ in range(5):
        with pytest.raises(StoreFull):
            store.txn([], [Put("/a", b"1")])
    assert told(caplog) == ["etcd is full"]
    make_room(etcd, store)
    for _ in range(5):
        assert store.txn([], [Put("/a", b"1")]).succeeded
    assert told(caplog) == ["etcd is full", "etcd takes writes again"]


def test_a_master_says_so_and_goes_on_when_there_is_room(etcd, store, tmp_path):
    cluster = Cluster(tmp_path, store)
    master = cluster.master("1")
    client = cluster.client(master)
    cluster.worker("1")
    assert request(master, "POST", "/crawler/resource", {"name": "before"})[0] == 200
    fill(EtcdStore([etcd.endpoint]))
    status, headers, answer = request(master, "POST", "/crawler/resource", {"name": "task"})
    assert (status, answer["code"]) == (503, 14)
    assert "etcd's database is full" in answer["message"]
    assert "etcdctl alarm disarm" in answer["message"]
    assert int(headers["Retry-After"]) >= 1
    # It leads all the same, and answers whatever needs no writing.
    assert eventually(lambda: request(master, "GET", "/readyz")[0] == 200)
    assert [each.name for each in client.list(Query(10), CALL).resources] == ["before"]
    make_room(etcd, store)
    assert eventually(
        lambda: request(master, "POST", "/crawler/resource", {"name": "task"})[0] == 200
    )
    assert set(cluster.resources()) == {"before", "task"}
    cluster.stop()


def test_members_that_disagree_are_told_and_the_outcome_is_known(etcd, store):
    store.txn([], [Put("/a", b"1")])
    alarm(etcd, "ACTIVATE", "CORRUPT")
    for refused in (lambda: store.lease_grant(60), lambda: store.txn([], [Put("/a", b"2")])):
        with pytest.raises(Unavailable, match=r"CORRUPT.*alarm disarm"):
            refused()
    alarm(etcd, "DEACTIVATE", "CORRUPT")
    assert store.get("/a").value == b"1"


def alarm(etcd, action, kind):
    """Set off an alarm of etcd, or end it, as a member that finds a fault does."""
    status = json.loads(ask(etcd.endpoint, "POST", "/v3/maintenance/status", b"{}"))
    order = {"action": action, "alarm": kind, "memberID": status["header"]["member_id"]}
    ask(etcd.endpoint, "POST", "/v3/maintenance/alarm", json.dumps(order).encode())
