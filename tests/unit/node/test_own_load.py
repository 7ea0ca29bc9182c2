"""What a worker says of its own load."""

import time

from crawler.api.service import UNTOLD
from crawler.clock import ManualClock
from crawler.node.worker.own_load import LEAST_S, TELL_S, OwnLoad


class Late(ManualClock):
    """Wakes whoever sleeps later than wanted."""

    def sleep(self, duration_s):
        self.advance(duration_s + 0.25)


def test_it_is_due_now_and_then_even_without_news():
    clock = ManualClock()
    load = OwnLoad(clock)
    assert not load.due
    clock.advance(TELL_S)
    assert load.due
    load.tell()
    assert not load.due


def test_a_load_over_too_little_time_is_not_told():
    clock = ManualClock()
    load = OwnLoad(clock)
    clock.advance(LEAST_S / 2)
    assert load.tell() is UNTOLD
    clock.advance(LEAST_S / 2)
    assert load.tell() is not UNTOLD


def test_the_lag_is_the_worst_since_it_was_told_last():
    load = OwnLoad(clock := Late())
    load.sleep(1.0)
    assert load.tell().lag_s == 0.25
    clock.advance(LEAST_S)
    assert load.tell().lag_s == 0


def test_the_share_of_a_processor_is_what_the_process_used(monkeypatch):
    used = iter([10.0, 11.0])
    monkeypatch.setattr(time, "process_time", lambda: next(used))
    load = OwnLoad(clock := ManualClock())
    clock.advance(2.0)
    assert load.tell().cpu == 0.5
