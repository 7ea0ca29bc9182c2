"""A worker that dies, or stands still, takes its crawl processes with it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.model.records import State
from crawler.node.guard.duty import GRACE_S
from tests.crews import PAGES, Place
from tests.guards import Ending
from tests.integration.lab import ROOT
from tests.waiting import PATIENCE_S, eventually


@contextmanager
def holder(folder, deadline_s=0.0):
    """A worker whose processes compute; what it tells of them."""
    command = [sys.executable, "-m", "tests.integration.crew_holder", str(folder), str(deadline_s)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        with process.stdout:
            told = json.loads(process.stdout.readline())
        yield process, told
    finally:
        process.kill()
        process.wait()


def seconds_until_gone(pids, act, within_s=PATIENCE_S):
    """How long after `act` the last of these processes is gone."""
    endings = [Ending(pid) for pid in pids]
    try:
        assert not any(each.is_gone() for each in endings)
        act()
        began_s = time.monotonic()
        eventually(lambda: all(each.is_gone() for each in endings), within_s, every_s=0.002)
        return time.monotonic() - began_s
    finally:
        for pid, each in zip(pids, endings):
            if not each.is_gone():
                os.kill(pid, signal.SIGKILL)
            each.__exit__()


def test_with_a_worker_that_is_killed_all_its_processes_end(tmp_path):
    with holder(tmp_path) as (process, told):
        seconds_until_gone([*told["pids"], told["zygote"]], process.kill)


def test_a_worker_that_stands_still_loses_its_processes_with_its_lease(tmp_path):
    with holder(tmp_path, deadline_s=1.0) as (process, told):
        os.kill(process.pid, signal.SIGSTOP)
        seconds_until_gone(told["pids"], lambda: None)
        assert SystemClock().monotonic() >= told["until_s"], "not before it had to be"


@pytest.mark.faults
def test_a_worker_that_is_killed_leaves_nobody_for_100_ms(tmp_path):
    with holder(tmp_path) as (process, told):
        assert seconds_until_gone(told["pids"], process.kill) <= 0.1


@pytest.mark.faults
def test_a_guard_is_no_later_than_250_ms_after_its_moment(tmp_path):
    with holder(tmp_path, deadline_s=3.0) as (process, told):
        os.kill(process.pid, signal.SIGSTOP)
        seconds_until_gone(told["pids"], lambda: None)
        assert SystemClock().monotonic() - told["until_s"] - GRACE_S <= 0.25


class Leader:
    """Places tasks again under the next epoch when their runs were interrupted, as leaders do."""

    def __init__(self, place, names):
        self._place = place
        self.runs = place.runs()
        self._epochs = dict.fromkeys(names, 0)
        for name in names:
            self._start(name)

    def _start(self, name):
        self._epochs[name] += 1
        host = f"127.0.20.{[*self._epochs].index(name) // 2 + 1}"
        slow = {"delay_s": 0.05, "host_concurrency": 1}
        self.runs.start(
            self._place.resource(name, epoch=self._epochs[name], host=host, settings=slow)
        )

    def look(self):
        """Return whether all are done."""
        for name in self._epochs:
            report = self.runs.of(name).status()
            if report.interrupted:
                assert not report.charged, report
                self._start(name)
            elif report.state.finished:
                assert report.state is State.DONE, report
        return all(run.status().state is State.DONE for run in self.runs.all())


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(3))
def test_all_is_crawled_once_whatever_dies(tmp_path, seed):
    """Processes and zygotes are killed again and again while eight tasks run."""
    chance, names = random.Random(seed), [f"t{number}" for number in range(8)]
    with Place(tmp_path, 2) as place:
        leader = Leader(place, names)
        for _ in range(12):
            gevent.sleep(chance.uniform(0.1, 0.7))
            leader.look()
            pids = [each.pid for each in place.serving()]
            if chance.random() < 0.2:
                pids = [place.crew.spawner.pid]
            if pids:
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
        eventually(leader.look, within_s=120, every_s=0.05)
        for name in names:
            assert place.items(name) == {str(number): 1 for number in range(PAGES)}
        leader.runs.stop_all()
