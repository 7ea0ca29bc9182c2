"""One crawl process as its worker has it; what a process tells is told here by the test."""

import os
import signal
import struct
import subprocess

import gevent
import pytest
from gevent import socket

from crawler.clock import SystemClock
from crawler.model.records import Resource, Spec, State
from crawler.node.crew import channel as channels
from crawler.node.crew.channel import Channel
from crawler.node.crew.crawl_orders import Orders
from crawler.node.crew.deaths import Deaths
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.page import Page
from crawler.node.crew.process import CrawlProcess
from crawler.node.crew.spawner import Born, SpawnFailed
from crawler.settings.sections import Settings
from tests.waiting import PATIENCE_S, eventually

HELLO = {"spiders": ["tree"], "pid": 1}
FIGURES = {
    "held": [5, 0, 0, 0, 0],
    "sums": {"pages": 3},
    "failures": {"HTTP 404": 1},
    "filtered": {},
}


class Sleeper:
    """Instead of a zygote: its process sleeps, and the test talks for it."""

    def __init__(self):
        self.process = subprocess.Popen(["sleep", "1000"], process_group=0)
        self.channel = self.page = None

    def start(self, number, files, user):
        channel, page = files[0], os.dup(files[1])
        self.channel = Channel.up(socket.socket(fileno=os.dup(channel)))
        self.page = Page(page)
        os.close(page)
        return Born(self.process.pid, os.pidfd_open(self.process.pid))

    def exit_of(self, pid):
        return self.process.wait()

    def tell(self, kind, body):
        self.channel.send(kind, body)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.channel.close()
        self.page.close()


class Nobody:
    """A zygote that cannot fork."""

    def start(self, number, files, user):
        raise SpawnFailed("no more processes")


@pytest.fixture
def told():
    return []


@pytest.fixture
def process(told):
    orders = Orders(Settings(), 1, 1.0, 1, 0.0)
    return CrawlProcess(orders, lambda _, kind, body: told.append((kind, body)))


@pytest.fixture
def sleeper(process):
    sleeper = Sleeper()
    process.start(sleeper, "")
    yield sleeper
    sleeper.close()
    assert process.gone.wait(PATIENCE_S)
    process._supervisor.stop()


def run_of(process, number=1):
    run = DistantRun(Resource(Spec("t"), id="t", epoch=1), number)
    process.runs[number] = run
    run.begin(process)
    return run


STATUS = {
    "state": "running",
    "reason": "",
    "awaits_spider": False,
    "later_epoch": 0,
    "counts": [1, 2, 3, 4.5],
    "shards": {},
    "is_kept": True,
    "can_go_on": False,
    "is_ending": False,
}


def test_it_serves_when_it_has_greeted(process, sleeper, told):
    assert not process.is_serving
    sleeper.tell("hello", HELLO)
    assert process.greeted.wait(PATIENCE_S)
    assert process.is_serving
    assert process.spiders == {"tree"}
    assert told == []


def test_it_serves_nobody_without_spiders(process, sleeper):
    sleeper.tell("hello", {"fault": "no spiders"})
    assert process.greeted.wait(PATIENCE_S)
    assert not process.is_serving
    assert (process.fault, process.why) == ("no spiders", "no spiders")


def test_what_it_tells_of_a_run_is_the_runs(process, sleeper):
    run = run_of(process)
    sleeper.tell("status", [1, STATUS])
    eventually(lambda: run.is_kept)
    assert run.status().counts.items == 2
    sleeper.tell("counts", [[1, [5, 6, 7, 8.0], {"2": [1, 1, 1, 1.0]}]])
    eventually(lambda: run.status().counts.pages == 5)
    assert run.status().shard_counts[2].pages == 1
    assert run.status().state is State.RUNNING


def test_what_it_tells_of_a_run_that_is_not_its_own_is_dropped(process, sleeper):
    run = run_of(process, number=2)
    sleeper.tell("status", [1, {**STATUS, "state": "done"}])
    sleeper.tell("counts", [[1, [5, 6, 7, 8.0], {}]])
    sleeper.tell("figures", FIGURES)
    eventually(lambda: process.figures.held_bytes == 5)
    assert run.status().counts.pages == 0
    assert run.status().state is State.RUNNING


def test_its_totals_are_numbers(process, sleeper):
    sleeper.tell("figures", FIGURES)
    eventually(lambda: process.totals.sums["pages"] == 3)
    assert process.totals.failures == {"HTTP 404": 1}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("hello", None),
        ("hello", []),
        ("hello", {"spiders": 7}),
        ("status", []),
        ("status", [1, {}]),
        ("status", [1, {**STATUS, "state": "odd"}]),
        ("status", [1, {**STATUS, "counts": [1, 2]}]),
        ("status", [[], STATUS]),
        ("counts", 7),
        ("counts", [[1, ["many", 2, 3, 4], {}]]),
        ("counts", [[1, [float("inf"), 2, 3, 4], {}]]),
        ("counts", [[1, [1, 2, 3, 4.0], {"x": [1, 2, 3, 4.0]}]]),
        ("figures", {}),
        ("figures", {**FIGURES, "sums": {"pages": "many"}}),
        ("figures", {**FIGURES, "sums": None}),
    ],
)
def test_a_process_that_talks_nonsense_is_killed(process, sleeper, kind, body):
    run_of(process)
    sleeper.tell(kind, body)
    assert process.gone.wait(PATIENCE_S)
    assert process.status == -signal.SIGKILL
    assert "cannot be understood" in process.why
    assert process.totals.sums["pages"] == 0


def test_a_process_that_sends_a_huge_message_is_killed(process, sleeper):
    sleeper.channel._socket.sendall(struct.pack("<I", 2**31))
    assert process.gone.wait(PATIENCE_S)
    assert process.status == -signal.SIGKILL


@pytest.mark.parametrize("computes", [True, False])
def test_a_process_that_does_not_read_is_killed_unless_it_computes(
    process, sleeper, computes, monkeypatch
):
    monkeypatch.setattr(channels, "PATIENCE_S", 0.05)
    run_of(process)
    if computes:
        sleeper.page.turn()
        sleeper.page.enter(1)
    for _ in range(5):
        process.tell("much", b"x" * 1_000_000)
    assert process.gone.wait(0.5 if computes else PATIENCE_S) is not computes


def test_a_process_that_closes_its_channel_is_killed_and_its_last_word_counts(
    process, sleeper, told, monkeypatch
):
    monkeypatch.setattr("crawler.node.crew.process.GONE_S", 0.05)
    sleeper.tell("ended", [1, "last"])
    sleeper.channel.flush()
    sleeper.channel.close()
    assert process.gone.wait(PATIENCE_S)
    assert told == [("ended", [1, "last"]), ("gone", None)]


def test_a_process_that_never_greets_is_killed(process, monkeypatch):
    monkeypatch.setattr("crawler.node.crew.process.HELLO_S", 0.05)
    sleeper = Sleeper()
    process.start(sleeper, "")
    assert process.greeted.wait(PATIENCE_S)
    assert process.gone.wait(PATIENCE_S)
    assert not process.is_serving
    assert "did not load its spiders" in process.why
    sleeper.close()
    process._supervisor.stop()


def test_a_process_that_cannot_be_started_leaves_nothing(process):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SpawnFailed):
        process.start(Nobody(), "")
    assert process.gone.is_set()
    assert process.greeted.is_set()
    process.kill("again")
    process.tell("nothing")
    gevent.sleep(0)
    assert len(os.listdir("/proc/self/fd")) < before


def test_a_process_that_is_gone_can_still_be_asked(process, sleeper):
    run_of(process)
    sleeper.page.tell("http://a.example/")
    sleeper.page.enter(1)
    sleeper.process.kill()
    assert process.gone.wait(PATIENCE_S)
    eventually(lambda: process._page._last)
    assert process.glance()[:2] == (1, 1)
    assert process.stack() == ""
    assert process.memory() == 0
    process.kill("again")
    assert Deaths(SystemClock()).judge(process, process.runs).charged == 0


@pytest.mark.parametrize("end", [lambda it: it.kill("enough"), lambda it: it.exit(0.01)])
def test_what_a_process_has_taken_is_noted_before_its_worker_ends_it(
    process, sleeper, monkeypatch, end
):
    monkeypatch.setattr("crawler.node.crew.process.cpu_of", lambda pid: 1.5)
    end(process)
    assert process.gone.wait(PATIENCE_S)
    monkeypatch.setattr("crawler.node.crew.process.cpu_of", lambda pid: 99.0)  # somebody else
    process.look()
    assert process.cpu_s == 1.5
