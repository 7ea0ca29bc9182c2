"""A hub that does not turn is noticed, and reported with what blocks it."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from gevent import monkey

from crawler import logs
from crawler.hub import HubWatch, NativeAlarm, run_beside
from tests.waiting import eventually

LIMIT_S = 0.2


@pytest.fixture
def written(former_logs):
    """What is logged meanwhile."""
    stream = io.StringIO()
    logs.setup("info", "json", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def watch():
    watch = HubWatch(LIMIT_S)
    watch.start()
    yield watch
    watch.stop()


def compute_for(duration_s):
    """Blocks the hub, as a callback does that never waits."""
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        pass


wait_natively = monkey.get_original("time", "sleep")
"""Blocks the hub, as a callback does that waits for what gives nobody a turn."""


def test_a_blocked_hub_is_reported_while_it_is_blocked_with_the_stack_that_blocks_it(
    watch, written
):
    end_s = time.monotonic() + 10
    while not written() and time.monotonic() < end_s:
        pass
    [line] = written()
    assert line["msg"].startswith("the hub is blocked")
    assert "test_a_blocked_hub_is_reported" in line["stack"]
    assert line["silent_s"] >= LIMIT_S
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert written()[1]["msg"] == "the hub turns again"
    assert watch.blocked_s == pytest.approx(written()[1]["blocked_s"], abs=0.01)


def test_a_hub_with_much_to_do_that_turns_is_not_blocked(watch, written):
    for _ in range(10):
        compute_for(LIMIT_S / 4)
        eventually(lambda: watch.silent_s < LIMIT_S / 4, what="the hub ticks")
    assert watch.blockages == 0
    assert not written()


def test_each_blockage_is_reported_once(watch, written):
    for number in (1, 2):
        wait_natively(3 * LIMIT_S)
        eventually(lambda n=number: len(written()) == 2 * n, what="it is told")
    assert watch.blockages == 2


def test_a_stopped_watch_reports_nothing_more(watch, written):
    watch.stop()
    wait_natively(3 * LIMIT_S)
    assert not written()


def test_a_native_thread_goes_on_while_the_hub_is_blocked_and_can_be_woken():
    alarm = NativeAlarm()
    rung = []

    def wait():
        alarm.wait(60)
        rung.append(monkey.get_original("time", "monotonic")())

    run_beside(wait)
    alarm.ring()
    alarm.ring()
    end_s = time.monotonic() + 10
    while not rung and time.monotonic() < end_s:
        pass
    assert rung


PAUSED = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, sys
from crawler import logs
from crawler.hub import HubWatch
logs.setup("info", "json")
watch = HubWatch({limit})
watch.start()
gevent.sleep(0.3)
print("up", flush=True)
sys.stdin.readline()
for _ in range(100):  # the watch looks when its thread gets a turn
    gevent.sleep(0.1)
    if watch.missed_s:
        break
print(watch.blockages, watch.missed_s, flush=True)
"""


def test_a_process_that_was_paused_says_so_and_blames_no_callback():
    command = [sys.executable, "-c", PAUSED.format(limit=LIMIT_S)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(5 * LIMIT_S)
        os.kill(process.pid, signal.SIGCONT)
        told, errors = process.communicate("go\n", timeout=20)
    blockages, missed_s = told.split()
    assert (int(blockages), float(missed_s)) == (0, pytest.approx(5 * LIMIT_S, abs=2 * LIMIT_S))
    [line] = [json.loads(line) for line in errors.splitlines()]
    assert line["msg"].startswith("this process got no processor for ")
    assert "no callback is to blame" in line["msg"]
    assert line["level"] == "WARNING"


def test_a_callback_that_waits_without_giving_a_turn_is_to_blame_too(watch, written):
    wait_natively(4 * LIMIT_S)
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert written()[0]["msg"] == "the hub is blocked: a callback waits without yielding"


def test_the_latest_blockage_names_the_task_and_how_long_it_lasted(watch, written):
    watch.task_of = lambda: "shop"
    compute_for(3 * LIMIT_S)
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert watch.latest.task == written()[0]["task"] == "shop"
    assert watch.latest.lasted_s == pytest.approx(watch.blocked_s)


SLOW = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, sys, time
from types import SimpleNamespace
from crawler.engine.stats.current_callback import Called, CurrentCallback
from crawler.engine.stats.slow_callbacks import SlowCallbacks
counters = SimpleNamespace(slow_callbacks=0)
spider = SimpleNamespace(settings=SimpleNamespace(slow_callback_s=4.0), name="s")
current = CurrentCallback()
watch = SlowCallbacks(current)
watch.start()
gevent.sleep(0.3)
current.now = Called("task", spider, counters)
print("up", flush=True)
computed_s = time.thread_time()
while time.thread_time() < computed_s + 0.2:
    pass
print(counters.slow_callbacks, flush=True)
"""


def test_a_callback_is_not_slow_because_its_process_was_paused():
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", SLOW], text=True, **pipes) as process:
        assert process.stdout.readline() == "up\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(5.0)  # a busy machine takes less than the limit for what it computes then
        os.kill(process.pid, signal.SIGCONT)
        told, errors = process.communicate(timeout=20)
    assert (told, errors) == ("0\n", "")
