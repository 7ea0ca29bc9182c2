"""What a store in Redis costs: its processor, the worker's, and memory for each URL and request."""

from __future__ import annotations

import json
import random
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.pages import PAGES
from bench.table import Row
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.store import Step, Waiting
from crawler.settings.redis_url import parsed
from tests.redis_servers import Redis

STEPS = 400
PAGES_A_STEP = 128
NEW_A_PAGE = 1.04
RECORD_BYTES = 115
PENDING = 300_000
SEEN = (1_000_000, 10_000_000)
MARKS_A_STEP = 20_000


@contextmanager
def server() -> Iterator[Redis]:
    """A Redis with a log that is synced each second."""
    found = Redis("--appendfsync everysec")
    found.start()
    try:
        yield found
    finally:
        found.remove()


def used(found: Redis) -> Mapping[str, float]:
    """What a Redis has used so far: seconds of the processor, calls, bytes of memory."""
    with found.client() as client:
        told = client.info("everything")
        calls = client.info("commandstats").get("cmdstat_fcall", {"calls": 0})
    return {
        "processor_s": told["used_cpu_user"] + told["used_cpu_sys"],
        "calls": calls["calls"],  # the total would count what our functions do, too
        "bytes": told["used_memory"],
    }


def since(found: Redis, before: Mapping[str, float], pages: int) -> dict[str, float]:
    """The same for each page since then."""
    now = used(found)
    return {
        "redis_us": (now["processor_s"] - before["processor_s"]) * 1e6 / pages,
        "calls": (now["calls"] - before["calls"]) / pages,
    }


def speed_rows(
    plain: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]]
) -> Sequence[Row]:
    """The rows of crawls without a store and with one."""
    speeds = [[PAGES / each["seconds"] for each in runs] for runs in (plain, kept)]
    without, with_store = map(median, speeds)
    share = with_store / without
    redis_us, calls = (median(each[name] for each in kept) for name in ("redis_us", "calls"))
    held_ms = max(each["longest_ms"] for each in kept)
    figures = {"memory_pages_per_s": speeds[0], "pages_per_s": speeds[1]}
    return [
        Row(
            "engine speed with Redis, against memory",
            f"{share:.0%}, {with_store:,.0f} pages/s",
            ">= 70 %",
            share >= 0.7,
            figures,
        ),
        Row("Redis, processor a page", f"{redis_us:.1f} us", "<= 30 us", redis_us <= 30),
        Row("Redis, calls a page", f"{calls:.3f}", "<= 0.05", calls <= 0.05),
        Row("a checkpoint holds the hub, at most", f"{held_ms:.1f} ms", "<= 20 ms", held_ms <= 20),
    ]


def steps() -> Sequence[Row]:
    """What the steps of a crawl take of the worker, without the crawl."""
    with server() as found:
        store = _store(found)
        store.open()
        made = list(_steps())
        before, used_s = used(found), time.process_time()
        for step in made:
            store.write(step)
        used_s = time.process_time() - used_s
        pages = STEPS * PAGES_A_STEP
        told = since(found, before, pages)
        store.clear()
    worker_us = used_s * 1e6 / pages
    return [
        Row(
            "worker, processor of the store a page",
            f"{worker_us:.1f} us, and {told['redis_us']:.1f} us of Redis",
            "<= 50 us",
            worker_us <= 50,
            told,
        )
    ]


def sizes() -> Sequence[Row]:
    """Bytes of Redis for each known URL, and for each request that waits."""
    with server() as found:
        before = used(found)["bytes"]
        store = _store(found)
        store.open()
        for first in range(0, PENDING, 133):
            added = [_waiting(id) for id in range(first, min(first + 133, PENDING))]
            store.write(Step(added=added))
        pending = (used(found)["bytes"] - before) / PENDING
        store.clear()
    rows = [
        Row(
            f"{PENDING:,} requests of {RECORD_BYTES} bytes wait",
            f"{pending:.0f} bytes each",
            "<= 220 bytes",
            pending <= 220,
        )
    ]
    return [*rows, *map(_seen_row, SEEN)]


def _seen_row(count: int) -> Row:
    chosen = random.Random(1)
    with server() as found:
        before = used(found)["bytes"]
        store = _store(found)
        store.open()
        for _ in range(count // MARKS_A_STEP):
            store.write(Step(marks=array("Q", chosen.randbytes(8 * MARKS_A_STEP))))
        each = (used(found)["bytes"] - before) / count
        store.close()
        began_s, used_s = time.perf_counter(), time.process_time()
        store = _store(found)
        known = len(store.open().seen)
        took_s, used_s = time.perf_counter() - began_s, time.process_time() - used_s
        store.clear()
    return Row(
        f"{count:,} seen",
        f"{each:.1f} bytes each; {took_s:.1f} s ({used_s:.1f} s of processor) to go on",
        "<= 10 bytes",
        each <= 10,
        {"known": known},
    )


def _store(found: Redis) -> RedisStore:
    return RedisStore(RedisServer(Access(parsed(found.url))), "bench")


def _steps() -> Iterator[Step]:
    """Steps as those of a crawl of many pages."""
    chosen, next_id = random.Random(1), 0
    waiting: list[int] = []
    for number in range(STEPS):
        count = int(PAGES_A_STEP * NEW_A_PAGE) + (2000 if number == 0 else 0)
        added = [_waiting(id) for id in range(next_id, next_id + count)]
        next_id += count
        ended, waiting = waiting[:PAGES_A_STEP], waiting[PAGES_A_STEP:]
        waiting += [each.id for each in added]
        yield Step(
            marks=array("Q", chosen.randbytes(8 * count)),
            added=added,
            ended=ended,
            in_flight=list(array("Q", chosen.randbytes(8 * 64))),
            state={"counters": json.dumps({"pages": number * PAGES_A_STEP})},
        )


def _waiting(id: int) -> Waiting:
    return Waiting(id, f"https://host-{id % 1000}.example", 0, record(id))


def record(id: int) -> bytes:
    """A request as a crawl has it."""
    url = f"https://host-{id % 1000}.example/{id * 2654435761 % 2**32:08x}/{id}.html"
    text = json.dumps([{"url": url, "callback": "parse"}, 3, id, 0, None])
    return text.ljust(RECORD_BYTES).encode()
