"""What a task on several workers costs in Redis: its processor, the workers', and memory."""

from __future__ import annotations

import json
import random
import time
from array import array
from collections import deque
from collections.abc import Iterator, Sequence

from bench.in_redis import (
    MARKS_A_STEP,
    NEW_A_PAGE,
    PAGES_A_STEP,
    PENDING,
    RECORD_BYTES,
    SEEN,
    STEPS,
    record,
    server,
    since,
    used,
)
from bench.table import Row
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.engine.frontier.shared_store import Answer, Exchange, Offer
from crawler.engine.frontier.store import Step, Waiting
from crawler.model.records import Counts
from crawler.settings.redis_url import parsed
from tests.redis_servers import Redis

SITES = 1000
SHARDS = 4
SLOTS = 64


class _Shard:
    """One shard whose pages have their ends in the order in which they were drawn."""

    def __init__(self, found: Redis, number: int) -> None:
        self.store = _store(found, number)
        self.store.open()
        self._next_id = self._pages = 0
        self._held = deque[tuple[int, str]]()
        self._of_site: dict[str, int] = {}
        self._drawn: Sequence[Offer] = ()

    def step(self, offers: Sequence[Offer]) -> Answer:
        """Tell the ends of some pages, and what they offer."""
        step = Step(added=list(self._taken()), sent=self._pages)
        ended = [self._held.popleft() for _ in range(min(PAGES_A_STEP, len(self._held)))]
        step.ended = [id for id, _ in ended]
        self._pages += len(ended)
        step.state = {"counters": json.dumps({"pages": self._pages})}
        exchange = Exchange(
            offers,
            taken=len(step.added),
            let_go=list(self._left_by(ended)),
            wants=max(0, SLOTS - len(self._of_site)),
            sites=len(self._of_site),
            left=len(self._held),
            has_read_start=True,
            counts=Counts(self._pages),
        )
        answer = self.store.exchange(step, exchange)
        self._drawn = answer.drawn
        return answer

    def _taken(self) -> Iterator[Waiting]:
        for each in self._drawn:
            self._held.append((self._next_id, each.site))
            self._of_site[each.site] = self._of_site.get(each.site, 0) + 1
            yield Waiting(self._next_id, each.site, each.priority, each.record)
            self._next_id += 1

    def _left_by(self, ended: Sequence[tuple[int, str]]) -> Iterator[str]:
        for _, site in ended:
            self._of_site[site] -= 1
            if not self._of_site[site]:
                del self._of_site[site]
                yield site


def steps() -> Sequence[Row]:
    """What the steps of shards take of Redis and of the workers, without the crawl."""
    chosen, number = random.Random(1), 0
    with server() as found:
        shards = [_Shard(found, shard) for shard in range(SHARDS)]
        offers = [[_offer(number := number + 1, chosen) for _ in range(2000)] for _ in shards]
        for shard, first in zip(shards, offers, strict=True):
            shard.step(first)
        before, used_s, pages = used(found), time.process_time(), 0
        for turn in range(STEPS):
            shard = shards[turn % SHARDS]
            new = [
                _offer(number := number + 1, chosen) for _ in range(int(PAGES_A_STEP * NEW_A_PAGE))
            ]
            shard.step(new)
        used_s = time.process_time() - used_s
        pages = sum(shard._pages for shard in shards)
        told = since(found, before, pages)
        for shard in reversed(shards):
            shard.store.close()
    worker_us = used_s * 1e6 / pages
    return [
        Row(
            f"{SHARDS} shards, {pages:,} pages: Redis, processor a page",
            f"{told['redis_us']:.1f} us",
            "<= 30 us",
            told["redis_us"] <= 30,
            told,
        ),
        Row(
            "worker, processor of the store a page",
            f"{worker_us:.1f} us",
            "<= 50 us",
            worker_us <= 50,
        ),
        Row("Redis, calls a page", f"{told['calls']:.3f}", "<= 0.05", told["calls"] <= 0.05),
    ]


def sizes() -> Sequence[Row]:
    """Bytes of Redis for each known URL, and for each request in the pool."""
    chosen = random.Random(1)
    with server() as found:
        before = used(found)["bytes"]
        store = _store(found, 0)
        store.open()
        for first in range(0, PENDING, 1000):
            offers = [_offer(number, chosen, mark=0) for number in range(first, first + 1000)]
            store.exchange(Step(), Exchange(offers))
        pending = (used(found)["bytes"] - before) / PENDING
        store.clear()
    row = Row(
        f"{PENDING:,} requests of {RECORD_BYTES} bytes in the pool",
        f"{pending:.0f} bytes each",
        "<= 220 bytes",
        pending <= 220,
    )
    return [row, *map(_seen_row, SEEN)]


def _seen_row(count: int) -> Row:
    chosen = random.Random(1)
    with server() as found:
        store = _store(found, 0)
        store.open()  # loads our functions, once for all: half a megabyte
        before = used(found)
        for _ in range(count // MARKS_A_STEP):
            store.write(Step(marks=array("Q", chosen.randbytes(8 * MARKS_A_STEP))))
        each = (used(found)["bytes"] - before["bytes"]) / count
        redis_us = since(found, before, count)["redis_us"]
        store.clear()
    return Row(
        f"{count:,} known to all shards",
        f"{each:.1f} bytes each, {redis_us:.1f} us of Redis",
        "<= 10 bytes",
        each <= 10,
    )


def _store(found: Redis, shard: int) -> RedisSharedStore:
    return RedisSharedStore(RedisServer(Access(parsed(found.url))), "bench", shard)


def _offer(number: int, chosen: random.Random, mark: int | None = None) -> Offer:
    mark = chosen.getrandbits(64) if mark is None else mark
    return Offer(mark, f"https://host-{chosen.randrange(SITES)}.example", 0, record(number))
