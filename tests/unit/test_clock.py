"""The manual clock behaves as tests rely on."""

import gevent
from gevent.event import Event

from crawler.clock import Backoff, ManualClock
from tests.waiting import PATIENCE_S


def test_sleepers_wake_in_the_order_of_their_deadlines():
    clock, woken = ManualClock(), []

    def sleeper(duration_s):
        clock.sleep(duration_s)
        woken.append((duration_s, clock.monotonic()))

    start_s = clock.monotonic()
    greenlets = [gevent.spawn(sleeper, duration_s) for duration_s in (3.0, 1.0, 2.0)]
    gevent.sleep(0)
    clock.advance(2.5)
    assert woken == [(1.0, start_s + 1.0), (2.0, start_s + 2.0)]
    clock.advance(1.0)
    gevent.joinall(greenlets, timeout=PATIENCE_S, raise_error=True)
    assert [duration_s for duration_s, _ in woken] == [1.0, 2.0, 3.0]


def test_wait_ends_with_the_event_or_with_the_timeout():
    clock = ManualClock()
    event, results = Event(), []
    first = gevent.spawn(lambda: results.append(clock.wait(event, 5.0)))
    gevent.sleep(0)
    clock.advance(5.0)
    first.join(PATIENCE_S)
    second = gevent.spawn(lambda: results.append(clock.wait(event, 5.0)))
    gevent.sleep(0)
    event.set()
    second.join(PATIENCE_S)
    assert results == [False, True]


def test_wall_clock_may_go_back_while_the_monotonic_one_does_not():
    clock = ManualClock(wall_ns=10**18)
    before_s = clock.monotonic()
    clock.set_wall(10**17)
    clock.advance(1.0)
    assert clock.time_ns() == 10**17 + 10**9
    assert clock.monotonic() == before_s + 1.0


def test_whoever_waits_for_etcd_asks_twice_a_second_at_least():
    backoff = Backoff()
    assert max(backoff.next_s() for _ in range(20)) <= 0.5
    assert backoff.attempts == 20


def test_backoff_doubles_to_its_limit_and_starts_over():
    backoff = Backoff(0.1, 0.5)
    assert [backoff.next_s() for _ in range(4)] == [0.1, 0.2, 0.4, 0.5]
    backoff.reset()
    assert backoff.next_s() == 0.1
