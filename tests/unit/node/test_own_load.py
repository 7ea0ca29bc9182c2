"""What a worker says of its own load."""

import time

import pytest

from crawler.api.backend import UNTOLD
from crawler.clock import ManualClock
from crawler.model.records import WorkerLoad
from crawler.node.crew.crew_load import NoLoad, ProcessesLoad
from crawler.node.worker.own_load import LEAST_S, TELL_S, OwnLoad


class Late(ManualClock):
    """Wakes whoever sleeps later than wanted."""

    def sleep(self, duration_s):
        self.advance(duration_s + 0.25)


class Process:
    """A process of a crew, as far as its load goes."""

    def __init__(self):
        self.cpu_s = self.takes_s = self.late_s = 0.0

    def look(self):
        self.cpu_s = max(self.cpu_s, self.takes_s)

    def take_late_s(self):
        late_s, self.late_s = self.late_s, 0.0
        return late_s


@pytest.fixture
def idle(monkeypatch):
    """The worker's own process takes nothing."""
    monkeypatch.setattr(time, "process_time", lambda: 10.0)


def test_it_is_due_now_and_then_even_without_news():
    clock = ManualClock()
    load = OwnLoad(clock, NoLoad())
    assert not load.due
    clock.advance(TELL_S)
    assert load.due
    load.tell()
    assert not load.due


def test_a_load_over_too_little_time_is_not_told():
    clock = ManualClock()
    load = OwnLoad(clock, NoLoad())
    clock.advance(LEAST_S / 2)
    assert load.tell() is UNTOLD
    clock.advance(LEAST_S / 2)
    assert load.tell() is not UNTOLD


def test_the_lag_is_the_worst_since_it_was_told_last():
    load = OwnLoad(clock := Late(), NoLoad())
    load.sleep(1.0)
    assert load.tell().lag_s == 0.25
    clock.advance(LEAST_S)
    assert load.tell().lag_s == 0


def test_the_share_of_a_processor_is_what_the_process_used(monkeypatch):
    used = iter([10.0, 11.0])
    monkeypatch.setattr(time, "process_time", lambda: next(used))
    load = OwnLoad(clock := ManualClock(), NoLoad())
    clock.advance(2.0)
    assert load.tell().cpu == 0.5


def test_what_processes_take_counts_as_a_share_of_all_that_they_can_use(idle):
    processes = [Process() for _ in range(4)]
    load = OwnLoad(clock := ManualClock(), ProcessesLoad(lambda: processes, 4))
    processes[0].takes_s, processes[1].takes_s = 2.0, 1.0
    clock.advance(2.0)
    assert load.tell().cpu == 0.38
    for process in processes:
        process.takes_s += 2.0
    clock.advance(2.0)
    assert load.tell().cpu == 1.0


def test_what_a_process_has_taken_that_is_gone_still_counts(idle):
    gone, other = Process(), Process()
    living = [gone, other]
    crew = ProcessesLoad(lambda: living, 1)
    load = OwnLoad(clock := ManualClock(), crew)
    gone.takes_s, other.takes_s = 3.0, 1.0
    crew.look()
    gone.takes_s = 0.0
    living.remove(gone)
    crew.bury(gone)
    assert crew.cpu_s() == 4.0
    clock.advance(8.0)
    assert load.tell().cpu == 0.5
    clock.advance(8.0)
    assert load.tell().cpu == 0


def test_the_lag_is_that_of_the_latest_hub(idle):
    processes = [Process(), Process()]
    load = OwnLoad(clock := Late(), ProcessesLoad(lambda: processes, 2))
    processes[1].late_s = 0.65
    load.sleep(1.0)
    assert load.tell().lag_s == 0.65
    load.sleep(1.0)
    assert load.tell().lag_s == 0.25, "that of the worker itself"
    clock.advance(LEAST_S)
    assert load.tell().lag_s == 0


def test_a_crew_without_processes_or_before_they_live_is_idle(idle):
    for crew in (NoLoad(), ProcessesLoad(list, 3)):
        load = OwnLoad(clock := ManualClock(), crew)
        clock.advance(LEAST_S)
        assert load.tell() == WorkerLoad()
