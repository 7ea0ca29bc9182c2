"""The load of a worker is that of its crawl processes too."""

import os
import signal

import pytest

from crawler.clock import ManualClock, SystemClock
from crawler.node.crew import processes
from crawler.node.crew.processes import Processes
from crawler.node.worker.own_load import OwnLoad
from crawler.settings.sections import Settings
from crawler.settings.worker import WorkerSettings
from tests.crews import Place, ended
from tests.waiting import eventually


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Place(tmp_path_factory.mktemp("crew"), 1) as place:
        yield place


@pytest.fixture
def runs(place):
    place.full()
    runs = place.runs()
    yield runs
    runs.stop_all()
    eventually(lambda: not runs.running)


def test_a_spider_that_computes_is_told_as_load_while_it_does(place, runs):
    load, crew = OwnLoad(clock := ManualClock(), place.crew.load), place.crew.load
    before_s = crew.cpu_s()
    runs.start(place.resource("endless", "odd", do="compute", host="127.0.0.2"))
    [process] = place.full()
    eventually(lambda: process.glance().is_sure and process.load().late_s >= 1.0)
    eventually(lambda: crew.cpu_s() >= before_s + 1.0, what="its process takes a second")
    clock.advance(2.0)
    told = load.tell()
    assert told.cpu >= 0.5
    assert told.lag_s >= 1.0, "the callback holds the hub"
    process.kill("enough")


def test_how_long_a_callback_held_its_process_is_told_after_its_end(place, runs):
    load = OwnLoad(clock := ManualClock(), place.crew.load)
    runs.start(place.resource("slow", "odd", do="be_slow", at="/0"))
    ended(runs, "slow")
    clock.advance(2.0)
    assert load.tell().lag_s >= 1.0, "the callback held the hub for 2.5 s"


def test_what_a_process_took_counts_when_it_is_gone(place, runs):
    runs.start(place.resource("whole"))
    ended(runs, "whole")
    taken_s = place.crew.load.cpu_s()
    assert taken_s > 0
    [process] = place.full()
    os.kill(process.pid, signal.SIGKILL)
    eventually(process.gone.is_set)
    assert place.crew.load.cpu_s() >= taken_s
    place.full()
    assert place.crew.load.cpu_s() >= taken_s


@pytest.mark.parametrize(("asked", "used"), [(0, 3), (2, 2), (8, 3)])
def test_a_crew_can_use_a_processor_for_each_process_that_has_one(monkeypatch, asked, used):
    monkeypatch.setattr(processes, "cores", lambda: 3)
    crew = Processes(Settings(worker=WorkerSettings(processes=asked)), SystemClock())
    assert crew.load.processors == used


def test_there_is_a_process_for_each_core_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: 1)
    with Place(tmp_path, 0) as place:
        runs = place.runs()
        for number in range(3):
            runs.start(place.resource(f"t{number}", host=f"127.0.1.{number + 1}"))
        for number in range(3):
            ended(runs, f"t{number}")
        assert len(place.serving()) == 1
