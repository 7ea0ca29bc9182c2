"""A lease is over by the node's own clock before anyone else may act on its end."""

import gevent
import pytest

from crawler.clock import SystemClock, settle
from crawler.coordination.lease import MARGIN, RENEWALS, Lease
from crawler.coordination.memory import MemoryStore
from crawler.errors import LeaseLost, Unavailable
from crawler.hub import HubWatch
from crawler.supervision import Supervisor
from tests.waiting import eventually

TTL_S = 10


class Flaky(MemoryStore):
    """A store whose renewals can be made to fail or to hang."""

    mode = "well"

    def lease_keepalive(self, lease, timeout_s):
        if self.mode == "fails":
            raise Unavailable("no answer")
        if self.mode == "hangs":
            gevent.sleep(3600)
        if self.mode == "slow":
            self._clock.sleep(1.0)
        return super().lease_keepalive(lease, timeout_s)


@pytest.fixture
def flaky(clock):
    store = Flaky(clock)
    yield store
    store.close()


@pytest.fixture
def lease(flaky, clock):
    supervisor = Supervisor("test", clock=clock)
    lease = Lease.grant(flaky, TTL_S, clock)
    lease.keep(supervisor)
    settle()
    yield lease
    supervisor.stop()


def test_a_renewed_lease_lives_on(lease, clock):
    for _ in range(50):
        clock.advance(1.0)
    assert not lease.lost.is_set()
    lease.check()


@pytest.mark.parametrize("mode", ["fails", "hangs"])
def test_without_renewal_it_is_over_a_margin_before_others_see_it_end(lease, flaky, clock, mode):
    put_under = flaky.lease_keepalive(lease.id, 1)
    assert put_under == TTL_S
    flaky.mode = mode
    ended_after_s = None
    for tenth in range(TTL_S * 10):
        clock.advance(0.1)
        if lease.lost.is_set():
            ended_after_s = tenth / 10
            break
    assert ended_after_s is not None
    assert ended_after_s <= TTL_S * (1 - MARGIN)
    flaky.mode = "well"
    assert flaky.lease_keepalive(lease.id, 1) == TTL_S, "it must not have expired yet"


def test_a_short_failure_is_survived(lease, flaky, clock):
    flaky.mode = "fails"
    for _ in range(40):
        clock.advance(0.1)
    flaky.mode = "well"
    for _ in range(200):
        clock.advance(0.1)
    assert not lease.lost.is_set()


def test_it_is_over_when_etcd_says_so(lease, flaky, clock):
    flaky.lease_revoke(lease.id)
    for _ in range(5):
        clock.advance(TTL_S / 5)
    assert lease.lost.is_set()
    assert lease.remaining_s == 0
    with pytest.raises(LeaseLost):
        lease.check()


def test_the_deadline_counts_from_the_sending_of_a_renewal_not_from_its_answer(lease, flaky, clock):
    flaky.mode = "slow"
    clock.advance(TTL_S / RENEWALS + 0.01)
    sent_s = clock.monotonic()
    clock.advance(1.5)
    flaky.mode = "hangs"
    assert lease.remaining_s == pytest.approx(
        sent_s + TTL_S * (1 - MARGIN) - clock.monotonic(), abs=0.1
    )


def test_the_deadline_counts_from_the_asking_for_a_lease(flaky, clock):
    lease = Lease.grant(flaky, TTL_S, clock)
    clock.advance(2.0)
    assert lease.remaining_s == pytest.approx(TTL_S * (1 - MARGIN) - 2.0)


def test_each_deadline_is_told_until_the_lease_is_over(flaky, clock):
    told = []
    supervisor = Supervisor("test", clock=clock)
    lease = Lease.grant(flaky, TTL_S, clock, told.append)
    assert told == [clock.monotonic() + TTL_S * (1 - MARGIN)]
    lease.keep(supervisor)
    settle()
    clock.advance(TTL_S / RENEWALS)
    assert told == [told[0], told[0] + TTL_S / RENEWALS]
    flaky.mode = "slow"
    clock.advance(TTL_S / RENEWALS)
    lease.end("somebody says so")
    clock.advance(1.0)
    assert len(told) == 2, "a renewal that was under way prolongs nothing any more"
    supervisor.stop()


def test_the_least_that_was_left_is_told_once_though_it_was_renewed_meanwhile(lease, flaky, clock):
    flaky.mode = "fails"
    for _ in range(40):
        clock.advance(0.1)
    flaky.mode = "well"
    for _ in range(10):
        clock.advance(0.1)
    assert lease.remaining_s > 0.6 * TTL_S
    assert lease.take_margin() == pytest.approx(1 - MARGIN - 0.4, abs=0.03)
    assert lease.take_margin() == pytest.approx(lease.remaining_s / TTL_S)


class Defective:
    """Renews past the hub, unless there is something wrong with it."""

    broken = True
    closed = False
    renewals = 0

    def renew(self, lease, timeout_s):
        if self.broken:
            raise ValueError("cannot be decoded")
        self.renewals += 1
        return TTL_S

    def close(self):
        self.closed = True


@pytest.fixture
def defective(monkeypatch):
    """A defective renewer, and the lease that it keeps."""
    renewer, hub, supervisor = Defective(), HubWatch(5.0), Supervisor("test")
    store = MemoryStore()
    monkeypatch.setattr(store, "renewer", lambda: renewer)
    lease = Lease.grant(store, 4, SystemClock())
    hub.start()
    lease.keep(supervisor, hub)
    yield renewer, lease
    lease.end("the test is over")
    hub.stop()
    supervisor.stop()
    store.close()


def test_an_unforeseen_error_past_the_hub_is_told_and_outlasted(defective, caplog):
    renewer, lease = defective
    eventually(lambda: "lease not renewed, trying again" in caplog.messages)
    assert "ValueError: cannot be decoded" in str(caplog.records[-1].fields["error"])
    renewer.broken = False
    eventually(lambda: renewer.renewals > 5, what="more than one time to live")
    assert not lease.lost.is_set()


def test_a_renewer_is_closed_when_its_lease_is_over(defective):
    renewer, lease = defective
    eventually(lease.lost.is_set, what="it could not be renewed")
    eventually(lambda: renewer.closed)
