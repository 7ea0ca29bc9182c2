"""The states of all crawls in one Redis: makes their stores, lists them, removes them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from crawler.clock import give_turn
from crawler.engine.frontier import redis_check, redis_functions
from crawler.engine.frontier.redis_run import PREFIX, keys_of
from crawler.engine.frontier.redis_server import WAIT_S, Access, RedisServer
from crawler.engine.frontier.redis_store import RedisStore
from crawler.engine.frontier.store import StoreInUse
from crawler.settings.sections import FrontierSettings

SCANNED_AT_ONCE = 1000
LOOKED = f"{PREFIX}looked"
"""The key that is there while somebody has looked through all states lately."""


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

    @property
    def silence(self) -> str:
        """Why the server cannot be used at present; empty if it can."""
        return self._server.silence

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
        names = {name for part in self._server.for_each(_names) for name in part}
        found = (self._state(name) for name in sorted(names) if name.startswith(prefix))
        return [state for state in found if state is not None]

    def claims_look(self, for_s: float) -> bool:
        """Whether nobody else looks through all states for that long: then this worker shall."""
        told = self._server.ask("SET", LOOKED, "1", "NX", "PX", int(for_s * 1000))
        return told is not None

    def clear(self, name: str) -> None:
        """Forget a crawl, also in a server that is full. Only which run was its last one is known
        for a day: no earlier one begins it anew. Raises StoreInUse while a run goes on."""
        told, _ = self._server.call(redis_functions.REMOVE, tuple(keys_of(name).values()))
        if told == b"HELD":
            raise StoreInUse(f"{self._server.place} ({name}) is in use by a run; stop it first")

    def _state(self, name: str) -> KeptState | None:
        keys = keys_of(name)
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
            counters=json.loads(told) if told else {},
            bytes=sum(ask("MEMORY USAGE", key) or 0 for key in keys.values()),
            unused_s=max(0.0, time.time() - float(used_s)),
            is_in_use=bool(ask("EXISTS", keys["hold"])),
        )


def _names(client: Any) -> Sequence[str]:
    """The names of the crawls in one server."""
    start, end = f"{PREFIX}{{", "}:run"
    keys = client.scan_iter(match=f"{start}*{end}", count=SCANNED_AT_ONCE)
    return [unquote(key.decode().removeprefix(start).removesuffix(end)) for key in keys]
