"""A hub that does not turn is noticed, and reported with what blocks it."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gevent import monkey

from crawler import logs
from crawler.hub import HubWatch, NativeAlarm, run_beside
from tests.waiting import PATIENCE_S, eventually

LIMIT_S = 0.2
STARVED = "this process got no processor for "
"""So begins what is told on a busy machine at any moment."""


@pytest.fixture
def written(former_logs):
    """What is logged of callbacks meanwhile."""
    stream = io.StringIO()
    logs.setup("info", "json", stream)

    def written():
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line for line in lines if not line["msg"].startswith(STARVED)]

    return written


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


def block_until(happened, wait=wait_natively):
    """Block the hub until something happened beside it."""
    end_s = time.monotonic() + PATIENCE_S
    while not happened() and time.monotonic() < end_s:
        wait(0.01)
    assert happened()


def test_a_blocked_hub_is_reported_while_it_is_blocked_with_the_stack_that_blocks_it(
    watch, written
):
    block_until(written, compute_for)
    [line] = written()
    assert line["msg"].startswith("the hub is blocked")
    assert "test_a_blocked_hub_is_reported" in line["stack"]
    assert line["silent_s"] >= LIMIT_S
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert written()[1]["msg"] == "the hub turns again"
    assert watch.blocked_s == pytest.approx(written()[1]["blocked_s"], abs=0.01)


def test_a_hub_with_much_to_do_that_turns_is_not_blocked(watch, written):
    watch.limit_s = 1.0  # a busy machine may need so long for what follows
    for _ in range(12):
        wait_natively(0.1)
        eventually(lambda: watch.silent_s < 0.1, what="the hub ticks")
    assert watch.blockages == 0
    assert not written()


def test_each_blockage_is_reported_once(watch, written):
    for number in (1, 2):
        block_until(lambda n=number: watch.blockages == n)
        wait_natively(LIMIT_S)  # the next look finds the same
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
    block_until(lambda: rung, compute_for)


def paused_meanwhile(code, paused_s):
    """What a process tells that stops itself, and is let go on after some time."""
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        stat = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        time.sleep(paused_s)
        os.kill(process.pid, signal.SIGCONT)
        return process.communicate(timeout=PATIENCE_S)


PAUSED = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, os, signal
from crawler import logs
from crawler.hub import HubWatch
logs.setup("info", "json")
watch = HubWatch({limit})
watch.start()
gevent.sleep(0.3)
os.kill(os.getpid(), signal.SIGSTOP)
for _ in range(400):  # the watch looks when its thread gets a turn
    gevent.sleep(0.1)
    if watch.missed_s > {least}:
        break
print(watch.blockages, watch.missed_s, flush=True)
"""


def test_a_process_that_was_paused_says_so_and_blames_no_callback():
    paused_s = 5 * LIMIT_S
    least_s = paused_s - 2 * LIMIT_S  # of a busy machine it misses more
    began_s = time.monotonic()
    told, errors = paused_meanwhile(PAUSED.format(limit=LIMIT_S, least=least_s), paused_s)
    blockages, missed_s = told.split()
    assert int(blockages) == 0
    assert least_s < float(missed_s) < time.monotonic() - began_s
    lines = [json.loads(line) for line in errors.splitlines()]
    assert max(line["seconds"] for line in lines) > least_s
    for line in lines:
        assert line["msg"].startswith(STARVED)
        assert "no callback is to blame" in line["msg"]
        assert line["level"] == "WARNING"


def test_a_callback_that_waits_without_giving_a_turn_is_to_blame_too(watch, written):
    block_until(lambda: watch.blockages)
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert written()[0]["msg"] == "the hub is blocked: a callback waits without yielding"


def test_the_latest_blockage_names_the_task_and_how_long_it_lasted(watch, written):
    watch.task_of = lambda: "shop"
    block_until(lambda: watch.blockages, compute_for)
    eventually(lambda: len(written()) == 2, what="the end of the blockage is told")
    assert watch.latest.task == written()[0]["task"] == "shop"
    assert watch.latest.lasted_s == pytest.approx(watch.blocked_s)


SLOW = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, os, signal, time
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
os.kill(os.getpid(), signal.SIGSTOP)
computed_s = time.thread_time()
while time.thread_time() < computed_s + 0.1:
    pass
print(counters.slow_callbacks, flush=True)
"""


def test_a_callback_is_not_slow_because_its_process_was_paused():
    # A busy machine takes less than the limit for what it computes then.
    assert paused_meanwhile(SLOW, 5.0) == ("0\n", "")
