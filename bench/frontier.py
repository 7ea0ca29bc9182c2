"""A crawl whose state is kept: what that costs, and what is left after it was cut off.

    python -m bench.frontier [ROW …]

All rows when none is named. What is compared takes turns in one run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import elsewhere, in_redis, shards_in_redis, shared_hosts, shared_task
from bench.pages import PAGES, served
from bench.table import Row, report
from crawler.engine.frontier.sqlite_store import SqliteStore
from crawler.engine.frontier.store import Step

RESULT = Path("frontier.json")
ROUNDS = 3
SEEN = 10_000_000
MARKS_A_STEP = 20_000
LINE = b"\n"


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a contender ended with status {process.returncode}")
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


def _crawl(base: str, items: Path, place: Path | str | None) -> subprocess.Popen[str]:
    """A crawl without a store, or with one in a folder or in Redis."""
    arguments = ["ours", "class", base, str(items)]
    if place is not None:
        arguments = ["kept", base, str(items), str(place)]
    command = [sys.executable, "-m", f"bench.contenders.{arguments[0]}", *arguments[1:]]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def speed() -> Sequence[Row]:
    """Pages a second with and without a store, in turns."""
    plain: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    with served() as base, tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for into, store in ((plain, None), (kept, Path(folder, f"store-{number}"))):
                print(f"round {number + 1}", file=sys.stderr, flush=True)
                items = Path(folder, f"{number}-{store is None}.jsonl")
                into.append(_told(_crawl(base, items, store)))
    speeds = [[PAGES / each["seconds"] for each in runs] for runs in (plain, kept)]
    without, with_store = map(median, speeds)
    share = with_store / without
    used_us = median(each["store_us"] / PAGES for each in kept)
    longest_ms = max(each["longest_ms"] for each in kept)
    return [
        Row("memory alone", f"{without:,.0f} pages/s", figures={"pages_per_s": speeds[0]}),
        Row(
            "engine speed with SQLite, against memory",
            f"{share:.0%}, {with_store:,.0f} pages/s",
            ">= 88 %",
            share >= 0.88,
            {"pages_per_s": speeds[1], "steps": [each["steps"] for each in kept]},
        ),
        Row("SQLite, processor a page", f"{used_us:.1f} us", "<= 5 us", used_us <= 5),
        Row(
            "a checkpoint holds the hub, at most",
            f"{longest_ms:.1f} ms",
            "<= 20 ms",
            longest_ms <= 20,
        ),
    ]


def _cut_off(base: str, items: Path, folder: Path, by: int) -> None:
    """Begin a crawl and end it when half of the items are in the file."""
    process = _crawl(base, items, folder)
    while process.poll() is None and _lines(items) < PAGES // 2:
        time.sleep(0.005)
    process.send_signal(by)
    process.communicate()


def _lines(items: Path) -> int:
    return items.read_bytes().count(LINE) if items.exists() else 0


def _half(by: int) -> tuple[dict[str, Any], int, int]:
    """What a crawl tells that went on after half; pages that are missing; items too many."""
    with served() as base, tempfile.TemporaryDirectory() as name:
        items, folder = Path(name, "items.jsonl"), Path(name, "store")
        _cut_off(base, items, folder, by)
        told = _told(_crawl(base, items, folder))
        found = [json.loads(line)["url"] for line in items.read_text().splitlines()]
    return told, PAGES - len(set(found)), len(found) - len(set(found))


def killed() -> Sequence[Row]:
    """Killed at half, and begun again."""
    told, lost, doubled = _half(signal.SIGKILL)
    again = told["repeated"]
    return [
        Row(
            f"{PAGES:,} pages, killed at half: lost / fetched again / items doubled",
            f"{lost} / {again} / {doubled}, ready after {told['opened_s'] * 1000:.0f} ms",
            "0 / <= 300 / 0",
            not lost and again <= 300 and not doubled,
            told,
        )
    ]


def stopped() -> Sequence[Row]:
    """Stopped in order at half, and begun again."""
    told, lost, doubled = _half(signal.SIGINT)
    again = told["repeated"]
    return [
        Row(
            f"{PAGES:,} pages, stopped at half: lost / fetched again / items doubled",
            f"{lost} / {again} / {doubled}",
            "0 / 0 / 0",
            not (lost or again or doubled),
            told,
        )
    ]


def seen() -> Sequence[Row]:
    """A start with ten million known URLs, after a kill and after an end in order."""
    with tempfile.TemporaryDirectory() as name:
        _fill(Path(name))
        took = [_start(name) for _ in range(2)]
        size = sum(path.stat().st_size for path in Path(name).iterdir())
    longest_s = max(each["seconds"] for each in took)
    held_ms = max(each["held_ms"] for each in took)
    used_s = max(each["processor_s"] for each in took)
    return [
        Row(
            f"{SEEN:,} seen, ready to go on",
            f"{longest_s:.1f} s, {used_s:.1f} s of processor, hub held for {held_ms:.0f} ms,"
            f" {size / 1e6:.0f} MB on disk",
            "<= 3 s, <= 20 ms",
            longest_s <= 3 and held_ms <= 20,
            {"runs": took},
        )
    ]


def _fill(folder: Path) -> None:
    """A store as a kill leaves it."""
    store = SqliteStore(folder)
    known = store.open().seen
    chosen = random.Random(1)
    for _ in range(SEEN // MARKS_A_STEP):
        for mark in array("Q", chosen.randbytes(8 * MARKS_A_STEP)):
            known.add(mark or 1)
        store.write(Step(marks=known.take_news()))
    store.close()


def _start(folder: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.frontier", "--start", folder]
    told: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return told


def _started(folder: str) -> dict[str, Any]:
    """How long a process of its own takes, and how late its hub gets meanwhile."""
    import gevent

    from crawler.runtime import prepare

    prepare()
    late_s = [0.0]

    def look() -> None:
        while True:
            began_s = time.perf_counter()
            gevent.sleep(0.001)
            late_s[0] = max(late_s[0], time.perf_counter() - began_s - 0.001)

    greenlet = gevent.spawn(look)
    gevent.sleep(0.05)
    late_s[0] = 0.0
    began_s, used_s = time.perf_counter(), time.process_time()
    store = SqliteStore(Path(folder))
    found = store.open()
    took_s, held_s = time.perf_counter() - began_s, late_s[0]
    used_s = time.process_time() - used_s
    greenlet.kill()
    store.close()
    return {
        "seconds": took_s,
        "processor_s": used_s,
        "held_ms": held_s * 1000,
        "seen": len(found.seen),
    }


def redis() -> Sequence[Row]:
    """Pages a second with a store in Redis and without one, in turns, and what Redis does."""
    plain: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    with served() as base, in_redis.server() as found, tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for into, place in ((plain, None), (kept, found.url)):
                print(f"round {number + 1}", file=sys.stderr, flush=True)
                items = Path(folder, f"{number}-{place is None}.jsonl")
                before = in_redis.used(found)
                told = _told(_crawl(base, items, place))
                into.append(told | in_redis.since(found, before, PAGES))
    return in_redis.speed_rows(plain, kept)


ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "speed": speed,
    "killed": killed,
    "elsewhere": elsewhere.rows,
    "stopped": stopped,
    "seen": seen,
    "redis": redis,
    "redis-steps": in_redis.steps,
    "redis-bytes": in_redis.sizes,
    "shards-steps": shards_in_redis.steps,
    "shards-bytes": shards_in_redis.sizes,
    "polite": shared_hosts.rows,
    "task": shared_task.rows,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--start"]:
        print(json.dumps(_started(sys.argv[2])))
        os._exit(0)
    sys.exit(report(ROWS, sys.argv[1:], RESULT))
