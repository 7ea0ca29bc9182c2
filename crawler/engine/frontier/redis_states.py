"""The states of all crawls in one Redis: makes their stores, lists them, removes them."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from crawler.clock import give_turn
from crawler.engine.frontier import redis_check
from crawler.engine.frontier import redis_shared_functions as functions
from crawler.engine.frontier.redis_access import Access, NotYet
from crawler.engine.frontier.redis_functions import REMOVE
from crawler.engine.frontier.redis_run import PREFIX, keys_of, prefix_of
from crawler.engine.frontier.redis_server import WAIT_S, RedisServer
from crawler.engine.frontier.redis_shared_run import shared_key_of, shared_keys_of, sweep
from crawler.engine.frontier.redis_shared_store import RedisSharedStore
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.shared_store import ENDED
from crawler.engine.frontier.store import Found, StoreFailed, StoreInUse
from crawler.settings.worker import FrontierSettings

SCANNED_AT_ONCE = 1000
LOOKED = f"{PREFIX}looked"
"""The key that is there while somebody has looked through all states lately."""
SAMPLES = 16
"""Of what there may be very much, so many keys are looked at."""
_SHARED = re.compile(re.escape(PREFIX) + r"\{([^}]*)\}:shared")
_RUN = re.compile(re.escape(PREFIX) + r"\{([^}]*)\}:(?:([0-9]+):)?run")


@dataclass(frozen=True, slots=True)
class KeptState:
    """What Redis keeps of one crawl, for people."""

    name: str
    epoch: int
    waiting: int
    """The number of requests without an end."""
    counters: dict[str, Any]
    """The counts of the crawl, such as `pages`; empty before the first checkpoint."""
    bytes: int
    """About how much memory it takes."""
    unused_s: float
    """The seconds since a run has written anything, if the clocks of the machines agree."""
    is_in_use: bool
    """Whether a run goes on."""
    shards: int = 1
    """How many shards have a state, the head included."""


class RedisStates:
    """All states in one Redis. Call it with a name for the store of a crawl."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    @classmethod
    def of(
        cls, settings: FrontierSettings, folder: str = ".", wait_s: float = WAIT_S
    ) -> RedisStates:
        """The states in the Redis of the settings. Nothing connects before it is used.

        Relative paths start at the folder. `wait_s` is how long a call waits for Redis. Raises
        ConfigError.
        """
        return cls(RedisServer(Access.of(settings, folder), wait_s))

    def __call__(self, name: str, takes_over: bool = True) -> RedisStore:
        """The store of a crawl. The same name means the same crawl, on any machine. `takes_over`
        says whether a later run may replace one that goes on."""
        return RedisStore(self._server, name, takes_over=takes_over)

    def shard(
        self,
        name: str,
        number: int,
        about: str,
        gives_away: Callable[[RedisSharedStore, Found], None],
    ) -> RedisSharedStore:
        """The store of a shard of a task. `about` says what the task is about. `gives_away` is told
        what a shard has, before others get what it holds."""
        return RedisSharedStore(self._server, name, number, about, gives_away=gives_away)

    def is_shared(self, name: str) -> bool:
        """Whether the crawl is that of a task that several workers run, or have run. Raises
        StoreFailed."""
        return bool(self._server.ask("HEXISTS", shared_key_of(name), "about"))

    def about(self, name: str) -> tuple[str | None, bool]:
        """What the task is about whose shards share something, as its head says, and whether its
        crawl has ended; None if nothing is shared. Raises StoreFailed."""
        told, ended = self._server.ask("HMGET", shared_key_of(name), "about", f"t:{ENDED}")
        return (None if told is None else told.decode()), ended is not None

    @property
    def silence(self) -> str:
        """Why the server cannot be used at present; empty if it can."""
        return self._server.silence

    def look(self) -> None:
        """Ask each server that takes writes whether it is there; `silence` tells."""
        with suppress(NotYet, StoreFailed):
            self._server.for_each(lambda client: client.ping(), is_patient=False)

    def check(self) -> bool:
        """Look whether the server can be trusted with it. Returns whether it answered. Raises
        ConfigError."""
        return redis_check.check(self._server)

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def all(self, prefix: str = "") -> Sequence[KeptState]:
        """What is kept of crawls whose names begin so, by name. Looks at all keys of the server, so
        it is for people, and for a look each hour."""
        found = {each for part in self._server.for_each(_found) for each in part}
        shards = defaultdict[str, list[int]](list)
        for name, shard in sorted(found):
            shards[name].append(shard)
        told = (
            self._state(name, *numbers)
            for name, numbers in shards.items()
            if name.startswith(prefix)
        )
        return [state for state in told if state is not None]

    def claims_look(self, for_s: float) -> bool:
        """Whether nobody else looks through all states for that long: then this worker shall."""
        told = self._server.ask("SET", LOOKED, "1", "NX", "PX", int(for_s * 1000))
        return told is not None

    def clear(self, name: str, is_patient: bool = True) -> None:
        """Forget a crawl with all its shards, also in a server that is full. Raises StoreInUse
        while a run goes on, with `is_patient` also if it is that of a shard."""
        title = uuid4().hex
        asked = (title, int(is_patient))
        told, *_ = self._server.call(functions.REMOVE_ALL, shared_keys_of(name), *asked)
        if told == b"HELD":
            raise self._is_in_use(name)
        sweep(self._server, name, title)

    def finish_removals(self) -> None:
        """Remove what is left of tasks whose removal was cut off. Looks at all keys, as `all` does.
        Raises StoreFailed."""
        for name in {each for part in self._server.for_each(_shared) for each in part}:
            title, about = self._server.ask("HMGET", shared_key_of(name), "swept", "about")
            if title is not None and about is None:
                sweep(self._server, name, title.decode())

    def clear_shard(self, name: str, number: int) -> None:
        """Forget what a shard has of its own. Raises StoreInUse."""
        told, _ = self._server.call(REMOVE, tuple(keys_of(name, number).values()))
        if told == b"HELD":
            raise self._is_in_use(name)

    def _is_in_use(self, name: str) -> StoreInUse:
        return StoreInUse(f"{self._server.place} ({name}) is in use by a run; stop it first")

    def _state(self, name: str, *shards: int) -> KeptState | None:
        found = [each for shard in shards if (each := self._of(name, shard)) is not None]
        if not found:
            return None
        moving, bytes_ = self._beside(name)
        return KeptState(
            name=name,
            epoch=found[0].epoch,
            waiting=moving + sum(each.waiting for each in found),
            counters=_summed([each.counters for each in found]),
            bytes=bytes_ + sum(each.bytes for each in found),
            unused_s=min(each.unused_s for each in found),
            is_in_use=any(each.is_in_use for each in found),
            shards=len(found),
        )

    def _of(self, name: str, shard: int) -> KeptState | None:
        """What is kept of one shard alone."""
        keys = keys_of(name, shard)
        ask = self._server.ask
        epoch, used_s, is_gone = ask("HMGET", keys["run"], "epoch", "used_s", "gone")
        if epoch is None or is_gone:
            return None
        rows = ask("HVALS", keys["live"])
        waiting = sum(int(row.split()[1], 16).bit_count() for row in rows)
        told = ask("HGET", keys["state"], "counters")
        give_turn()
        return KeptState(
            name=name,
            epoch=int(epoch),
            waiting=waiting + ask("HLEN", keys["later"]),
            counters=_counters(told),
            bytes=sum(map(self._bytes, keys.values())),
            unused_s=max(0.0, time.time() - float(used_s)),
            is_in_use=bool(ask("EXISTS", keys["hold"])),
        )

    def _beside(self, name: str) -> tuple[int, int]:
        """How many requests no shard holds, and about how many bytes all take that shards share."""
        ask, prefix = self._server.ask, prefix_of(name)
        moving, buckets = (
            int(each or 0) for each in ask("HMGET", f"{prefix}shared", "moving", "buckets")
        )
        sites = [each.decode() for each in ask("LRANGE", f"{prefix}pool", 0, SAMPLES - 1)]
        lists = [f"{prefix}site:{site}" for site in sites]
        sampled = sum(ask("LLEN", each) for each in lists)
        each_request = sum(self._bytes(each) for each in lists) / max(1, sampled)
        marks = [self._bytes(f"{prefix}known:{at}") for at in range(min(SAMPLES, buckets))]
        each_bucket = sum(marks) / max(1, len(marks))
        around = sum(self._bytes(prefix + each) for each in ("shared", "owners", "pool"))
        return moving, int(around + each_request * moving + each_bucket * buckets)

    def _bytes(self, key: str) -> int:
        return self._server.ask("MEMORY USAGE", key) or 0


def _found(client: Any) -> Sequence[tuple[str, int]]:
    """The names of the crawls in one server, with the numbers of their shards."""
    keys = client.scan_iter(match=f"{PREFIX}{{*}}:*run", count=SCANNED_AT_ONCE)
    return [
        (unquote(found[1]), int(found[2] or 0))
        for key in keys
        if (found := _RUN.fullmatch(key.decode()))
    ]


def _shared(client: Any) -> Sequence[str]:
    """The names of the tasks in one server whose shards share something."""
    keys = client.scan_iter(match=f"{PREFIX}{{*}}:shared", count=SCANNED_AT_ONCE)
    found = (_SHARED.fullmatch(key.decode()) for key in keys)
    return [unquote(each[1]) for each in found if each]


def _counters(text: bytes | None) -> dict[str, Any]:
    """What a crawl has counted; nothing if that cannot be read. People want to see such a crawl
    too, and to remove it."""
    try:
        found = json.loads(text or b"{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _summed(counters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What was counted together, but for what is counted by kinds."""
    if len(counters) == 1:
        return dict(counters[0])
    names = {name for each in counters for name, value in each.items() if isinstance(value, int)}
    return {name: sum(each.get(name, 0) for each in counters) for name in names}
