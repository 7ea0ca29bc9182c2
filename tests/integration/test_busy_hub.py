"""A busy hub costs neither leases nor watches, and a lease does not outlive a hub that hangs.

How much a hub bears is measured where nothing else runs: `make faults`.
"""

import contextlib
import time

import gevent
import pytest

from crawler.clock import SystemClock, give_turn
from crawler.coordination.etcd.store import EtcdStore
from crawler.coordination.lease import Lease
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Delete, Put
from crawler.errors import LeaseLost
from crawler.hub import HubWatch
from crawler.supervision import Supervisor
from tests.waiting import PATIENCE_S, eventually

TTL_S = 2
LIMIT_S = 0.5
SATURATED_S = 4.0
"""Twice the time to live; `make faults` runs a minute of it."""
BUSY = 20
CHUNK_S = 0.02
"""All of them together make a turn of the hub last 0.4 s; a gRPC call takes several."""

SILENCE_S = 2.5
HEARD_S = 4.0
"""Ten turns: the most that an event may take."""
KEYS = ("/busy/one", "/busy/two", "/busy/three")


@pytest.fixture
def supervisor():
    supervisor = Supervisor("test")
    yield supervisor
    supervisor.stop()


@pytest.fixture
def hub():
    hub = HubWatch(LIMIT_S)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def etcd(shared_etcd):
    store = EtcdStore([shared_etcd.endpoint], silence_s=SILENCE_S)
    yield store
    store.close()


@pytest.fixture
def writer(shared_etcd):
    """What another program would write with."""
    store = EtcdStore([shared_etcd.endpoint])
    yield store
    for key in KEYS:
        store.txn([], [Delete(key)])
    store.close()


@pytest.fixture
def lease(etcd, hub, supervisor):
    lease = Lease.grant(etcd, TTL_S, SystemClock())
    lease.keep(supervisor, hub)
    yield lease
    with contextlib.suppress(LeaseLost):
        lease.revoke()


def compute_for(duration_s):
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        pass


def saturate(supervisor, duration_s):
    """Greenlets that use the processor for all of that time, though they give each other turns."""
    end_s = time.monotonic() + duration_s

    def compute():
        while time.monotonic() < end_s:
            compute_for(CHUNK_S)
            give_turn()

    gevent.joinall([supervisor.spawn(f"busy {n}", compute) for n in range(BUSY)])


def is_known(etcd, lease):
    """Whether etcd knows the lease."""
    try:
        return etcd.lease_keepalive(lease.id, 3.0) > 0
    except LeaseLost:
        return False


def saturated_without_loss(lease, etcd, supervisor, duration_s):
    saturate(supervisor, duration_s)
    assert not lease.lost.is_set()
    assert lease.remaining_s > 0
    assert is_known(etcd, lease)


@pytest.mark.faults
def test_a_lease_survives_a_saturated_hub(lease, etcd, supervisor):
    saturated_without_loss(lease, etcd, supervisor, SATURATED_S)


@pytest.mark.faults
@pytest.mark.timeout(120)
def test_a_lease_survives_a_minute_of_a_saturated_hub(lease, etcd, supervisor):
    saturated_without_loss(lease, etcd, supervisor, 60.0)


class Heard:
    """Mirrors of one key each, and when each of them heard of what."""

    def __init__(self, store, supervisor):
        self.at_s = {}
        for key in KEYS:
            mirror = Mirror(store, key, lambda kv: kv.value, SystemClock(), self._note)
            mirror.start(supervisor)
            eventually(mirror.listed.is_set)

    def _note(self, changes):
        for change in changes:
            self.at_s[change.key, change.after] = time.monotonic()


def write_for(writer, duration_s):
    """Write the keys in turns; what was written, and when."""
    written = {}
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        key, value = KEYS[len(written) % len(KEYS)], b"%d" % len(written)
        writer.txn([], [Put(key, value)])
        written[key, value] = time.monotonic()
    return written


@pytest.mark.faults
def test_watches_hear_of_everything_on_a_saturated_hub(etcd, writer, supervisor):
    """Questions for a sign of life that pile up would hold the events up, and look like silence."""
    heard = Heard(etcd, supervisor)
    writing = gevent.spawn(write_for, writer, 2 * SILENCE_S)
    saturate(supervisor, 2 * SILENCE_S + HEARD_S)
    by_then = dict(heard.at_s)
    written = writing.get(timeout=PATIENCE_S)
    assert len(written) > 3
    assert by_then.keys() == written.keys()
    assert max(by_then[what] - written_s for what, written_s in written.items()) < HEARD_S
    counts = etcd.counts
    assert (counts.silent_watches, counts.misses, counts.reconnects) == (0, 0, 0)


@pytest.mark.faults
def test_an_idle_watch_on_a_saturated_hub_is_not_taken_for_silent(etcd, writer, supervisor):
    heard = Heard(etcd, supervisor)
    saturate(supervisor, 3 * SILENCE_S)
    counts = etcd.counts
    assert (counts.silent_watches, counts.misses, counts.reconnects) == (0, 0, 0)
    writer.txn([], [Put(KEYS[0], b"at last")])
    eventually(lambda: (KEYS[0], b"at last") in heard.at_s)


def test_a_hub_that_hangs_loses_its_lease_and_knows_it_when_it_wakes(lease, etcd, shared_etcd):
    compute_for(LIMIT_S + TTL_S + 1.5)
    assert lease.remaining_s == 0  # at once, without a turn of the hub or a word from etcd
    eventually(lease.lost.is_set, what="those who wait for it are told")
    assert not is_known(etcd, lease)


@pytest.mark.faults
def test_a_short_computation_costs_nothing(lease, etcd):
    for _ in range(5):
        compute_for(LIMIT_S * 0.8)
        give_turn()
    eventually(lambda: lease.remaining_s > TTL_S * 0.5, what="it is renewed")
    assert is_known(etcd, lease)
