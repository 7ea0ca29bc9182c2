"""What ends crawl processes, and what that costs the other tasks: rows of `bench.crew`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from crawler.runtime import prepare

prepare()

import gevent  # noqa: E402  # after what it may not precede

from bench.crew_bench import Bench, at, bench, until  # noqa: E402
from bench.pages import ADDRESSES, served  # noqa: E402
from bench.table import Row  # noqa: E402
from crawler.local.etcd import EmbeddedEtcd  # noqa: E402
from crawler.model.records import State  # noqa: E402
from tests.guarded import Times  # noqa: E402

ROUNDS = 3
WATCHED_S = 20.0
TTL_S = 3
LEAST_MEMORY = 200_000_000
LEAKED_PAGES = 60
"""The pages of each task beside one that leaks."""


def orphans() -> Sequence[Row]:
    """From the kill of a worker to the end of its last process."""
    took = []
    for _ in range(ROUNDS):
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.crew_ends"], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        files = [os.pidfd_open(pid) for pid in pids]
        began_s = time.monotonic()
        worker.send_signal(signal.SIGKILL)
        for file in files:
            gevent.socket.wait_read(file, timeout=10.0)
        took.append(time.monotonic() - began_s)
        worker.wait()
        for file in files:
            os.close(file)
    return [
        Row(
            "worker SIGKILL: no process of its crew alive after",
            f"{max(took) * 1000:.0f} ms, worst of {ROUNDS}",
            "<= 100 ms",
            max(took) <= 0.1,
            {"took_s": took},
        )
    ]


def _wait() -> None:
    """Be a worker with a crew that computes, until somebody ends it."""
    with served() as base, bench(4) as made:
        for address in ADDRESSES:
            made.start(address, "following", at(base, address))
        until(lambda: made.pages() > 100)
        assert made.crew.spawner is not None
        print(made.crew.spawner.pid, *made.pids(), flush=True)
        gevent.sleep(3600)


def runaway() -> Sequence[Row]:
    """A regular expression without end in one task of a hundred."""
    limit_s, before, after = 2.0, 0, 0
    with served() as base, bench(2, callback_limit_s=limit_s) as made:
        for number in range(99):
            address = ADDRESSES[number % len(ADDRESSES)]
            made.start(f"t{number}", "following", at(base, address), delay_s=0.2)
        until(lambda: made.pages("t") > 200)
        first = made.pages("t")
        gevent.sleep(WATCHED_S)
        before = made.pages("t") - first
        made.start("runaway", "runaway", at(base, ADDRESSES[0]))
        doomed_run = made.runs.of("runaway")
        until(lambda: getattr(doomed_run, "process", None))
        killed_s = until(lambda: doomed_run.ended)
        report = doomed_run.status()
        others = [run for run in made.runs.all() if run.name != "runaway"]
        hit = [run for run in others if run.ended]
        first = sum(run.status().counts.pages for run in others if not run.ended)
        gevent.sleep(WATCHED_S)
        after = sum(run.status().counts.pages for run in others if not run.ended) - first
    share = (after / max(1, len(others) - len(hit))) / (before / len(others))
    return [
        Row(
            "a regular expression without end: pages of the other processes' tasks",
            f"{share:.0%} of what they had; killed after {killed_s:.1f} s with a limit of"
            f" {limit_s:g} s; {'charged' if report.charged else 'NOT charged'}, {len(hit)} others"
            " interrupted",
            ">= 95 %",
            share >= 0.95 and report.charged,
            {"share": share},
        )
    ]


def paused() -> Sequence[Row]:
    """From the deadline of a node that is stopped to the last instruction of its crawl process."""
    took, etcd = [], EmbeddedEtcd()
    etcd.start()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            path = Path(folder, f"times-{number}")
            path.write_bytes(bytes(16))
            times = Times(path)
            command = [sys.executable, "-m", "tests.guarded", etcd.endpoint, str(TTL_S), str(path)]
            node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert node.stdout is not None
            crawling = os.pidfd_open(int(node.stdout.readline()))
            first_s = times.deadline_s
            until(lambda: times.deadline_s > first_s)  # noqa: B023
            node.send_signal(signal.SIGSTOP)
            gevent.socket.wait_read(crawling, timeout=2 * TTL_S)
            took.append(times.computed_s - times.deadline_s)
            node.kill()
            node.wait()
            os.close(crawling)
            times.close()
    etcd.stop()
    return [
        Row(
            "node stopped (SIGSTOP): last instruction of its crawl process after the deadline",
            f"{max(took) * 1000:.1f} ms, worst of {ROUNDS}",
            "<= 250 ms",
            min(took) > 0 and max(took) <= 0.25,
            {"took_s": took},
        )
    ]


def leak() -> Sequence[Row]:
    """A task among ten that leaks 100 MB a second, on two processes."""
    given = {"max_pages": LEAKED_PAGES, "delay_s": 0.2}
    addresses = ADDRESSES[:9]
    with served() as base, bench(2, LEAST_MEMORY) as made:

        def start(name: str, epoch: int) -> None:
            if name == "leaky":
                made.start(name, "leaky", at(base, ADDRESSES[0]), epoch)
            else:
                made.start(name, "following", at(base, name), epoch, **given)

        for address in addresses:
            start(address, 1)
        until(lambda: made.pages() > len(addresses))
        start("leaky", 1)
        deaths = _placed_again(made, ["leaky", *addresses], start)
        whole = [
            report.counts.pages == LEAKED_PAGES
            for report in (made.runs.of(address).status() for address in addresses)
            if report.state is State.DONE
        ]
    return [
        Row(
            "a leak of 100 MB/s: deaths of its processes until it is charged; the others' pages",
            f"{deaths['leaky']}; {sum(whole)} of {len(addresses)} tasks whole, interrupted"
            f" {deaths.total() - deaths['leaky']} times",
            "<= 3; all",
            deaths["leaky"] <= 3 and sum(whole) == len(addresses),
            {"deaths": dict(deaths)},
        )
    ]


def _placed_again(
    made: Bench, names: Sequence[str], start: Callable[[str, int], None]
) -> Counter[str]:
    """Start what was interrupted again, as a leader does, until the one that is charged is found
    and the others have ended. Returns how often each was interrupted."""
    deaths, left = Counter[str](), set(names)
    while left:
        name = next(iter(left & {run.name for run in made.runs.all() if run.ended}), "")
        if not name:
            gevent.sleep(0.01)
            continue
        run = made.runs.of(name)
        report = run.status()
        deaths[name] += report.interrupted
        if report.interrupted and not report.charged:
            made.runs.stop([name])
            start(name, run.key.epoch + 1)
        else:
            left.remove(name)
    return deaths


if __name__ == "__main__":
    _wait()
