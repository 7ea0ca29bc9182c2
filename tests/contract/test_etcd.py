"""What is particular to etcd: reads that need a quorum, and connections that break."""

import re

import gevent
import pytest

from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.store import Put
from crawler.errors import OutcomeUnknown, Overloaded, Unavailable
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports
from crawler.local.processes import LocalProcess
from tests.waiting import eventually


def member(name, folder, client, peers):
    """A member of an etcd of several."""
    own = peers[name]
    flags = {
        "name": name,
        "data-dir": str(folder / name),
        "listen-client-urls": f"http://127.0.0.1:{client}",
        "advertise-client-urls": f"http://127.0.0.1:{client}",
        "listen-peer-urls": own,
        "initial-advertise-peer-urls": own,
        "initial-cluster": ",".join(f"{peer}={url}" for peer, url in peers.items()),
        "log-level": "error",
    }
    command = [binary("etcd"), *(f"--{flag}={value}" for flag, value in flags.items())]
    return LocalProcess(name, command, {}, folder / f"{name}.log")


@pytest.fixture
def lonely_member(tmp_path):
    """One member of an etcd of two, after the other has died: there is no quorum any more."""
    ports = free_ports(4)
    peers = {name: f"http://127.0.0.1:{port}" for name, port in zip(("here", "there"), ports)}
    members = [member(name, tmp_path, port, peers) for name, port in zip(peers, ports[2:])]
    for process in members:
        process.start()
    endpoint = f"127.0.0.1:{ports[2]}"
    store = EtcdStore([endpoint], timeout_s=1.0)
    eventually(lambda: is_written(store, "/a"))
    store.close()
    members[1].kill()
    yield endpoint
    members[0].kill()


def is_written(store, key):
    try:
        return store.txn([], [Put(key, b"1")]).succeeded
    except (Unavailable, OutcomeUnknown):
        return False


@pytest.mark.parametrize("read", ["get", "range"])
def test_reads_are_never_answered_from_what_one_member_happens_to_know(lonely_member, read):
    """A serializable read would be answered here, and might be old."""
    store = EtcdStore([lonely_member], timeout_s=1.0)
    with pytest.raises(Unavailable):
        getattr(store, read)("/a")
    store.close()


def test_a_write_without_an_answer_has_an_unknown_outcome(own_etcd):
    store = EtcdStore([own_etcd.endpoint], timeout_s=0.5)
    store.txn([], [Put("/a", b"1")])
    own_etcd.pause()
    with pytest.raises(OutcomeUnknown):  # a signal takes effect when its receiver gets a turn
        eventually(lambda: not store.txn([], [Put("/a", b"2")]))
    own_etcd.resume()
    eventually(lambda: value(store, "/a") in (b"1", b"2"))
    store.close()


def test_what_surely_was_not_sent_is_unavailable():
    [port] = free_ports(1)
    store = EtcdStore([f"127.0.0.1:{port}"], timeout_s=0.5)
    with pytest.raises(Unavailable):
        store.txn([], [Put("/a", b"1")])
    store.close()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_it_is_back_within_two_seconds_of_etcd_s_return(own_etcd, end):
    store = EtcdStore([own_etcd.endpoint], timeout_s=0.5)
    store.txn([], [Put("/a", b"1")])
    watch = store.watch("/a", 1)
    seen = []
    gevent.spawn(follow, watch, seen)
    eventually(lambda: len(seen) == 1)
    if end == "kill":
        own_etcd.kill()
    with pytest.raises(Unavailable):
        eventually(lambda: own_etcd.kill() or store.get("/a") is None)
    eventually(lambda: len(seen) == 2, what="the watch ends")
    assert isinstance(seen[1], Unavailable)
    own_etcd.restart()
    eventually(lambda: value(store, "/a") == b"1")
    store.close()


def test_the_next_endpoint_takes_over_from_one_that_is_down_or_frozen(own_etcd, shared_etcd):
    [port] = free_ports(1)
    down = EtcdStore([f"127.0.0.1:{port}", shared_etcd.endpoint], timeout_s=0.5)
    eventually(lambda: value(down, "/none") is None)
    down.close()
    frozen = EtcdStore([own_etcd.endpoint, shared_etcd.endpoint], timeout_s=0.3)
    watch = frozen.watch("/a", 1)
    ended = []
    gevent.spawn(follow, watch, ended)
    own_etcd.pause()
    eventually(lambda: value(frozen, "/none") is None)
    eventually(lambda: ended, what="the silent watch is ended, to be opened elsewhere")
    own_etcd.resume()
    frozen.close()


def test_calls_beyond_the_most_wait_for_their_turn(shared_etcd, monkeypatch):
    monkeypatch.setattr("crawler.coordination.etcd.client.MOST_CALLS", 3)
    store = EtcdStore([shared_etcd.endpoint])
    reads = [gevent.spawn(value, store, "/none") for _ in range(50)]
    in_flight = []
    while not all(read.ready() for read in reads):
        in_flight.append(store.counts.calls)
        gevent.sleep(0)
    assert [read.value for read in reads] == [None] * 50
    assert max(in_flight) == 3
    store.close()


def test_without_a_turn_in_time_nothing_is_sent_but_leases_are_renewed(shared_etcd, monkeypatch):
    others = EtcdStore([shared_etcd.endpoint])
    lease, _ = others.lease_grant(60)
    monkeypatch.setattr("crawler.coordination.etcd.client.MOST_CALLS", 0)
    store = EtcdStore([shared_etcd.endpoint], timeout_s=0.2)
    with pytest.raises(Overloaded, match="not sent"):
        store.txn([], [Put("/overload", b"1")])
    assert store.lease_keepalive(lease, 2.0) == 60
    assert others.get("/overload") is None
    others.lease_revoke(lease)
    others.close()
    store.close()


def test_it_counts_what_a_gauge_may_show(own_etcd):
    store = EtcdStore([own_etcd.endpoint], timeout_s=0.3)
    store.txn([], [Put("/a", b"1")])
    watch = store.watch("/a", 1)
    assert (store.counts.watches, store.counts.calls) == (1, 0)
    own_etcd.pause()
    for misses in (1, 2):
        with pytest.raises(Unavailable):
            eventually(lambda: store.get("/a") and False)
        assert store.counts.misses == misses
    assert store.counts.reconnects == 1
    watch.close()
    watch.close()
    assert store.counts.watches == 0
    own_etcd.resume()
    store.close()


def test_an_etcd_that_went_back_in_time_is_told_once(tmp_path, caplog):
    """As after a restore of an old backup; a new one in its place goes back to the beginning."""
    before = EmbeddedEtcd()
    before.start()
    store = EtcdStore([before.endpoint])
    for _ in range(5):
        seen = store.txn([], [Put("/a", b"1")]).revision
    before.stop()
    after = EmbeddedEtcd(port=int(before.endpoint.rpartition(":")[2]))
    after.start()
    eventually(lambda: value(store, "/a") is None)
    reads = [gevent.spawn(value, store, "/a") for _ in range(5)]
    assert [read.get() for read in reads] == [None] * 5
    [record] = [r for r in caplog.records if "went back" in r.message]
    assert record.fields["seen"] == seen > record.fields["revision"]
    store.close()
    after.stop()


def follow(watch, into):
    try:
        for batch in watch:
            into.append(batch)
    except Exception as error:
        into.append(error)


def value(store, key):
    """The value of a key; the error while there is no answer."""
    try:
        kv = store.get(key)
    except Unavailable as error:
        return error
    return kv and kv.value


def test_it_says_its_version(shared_etcd):
    store = EtcdStore([shared_etcd.endpoint])
    assert re.fullmatch(r"3\.\d+\.\d+", store.version())
    store.close()
