"""The right of one run to change the state of a shard, and what all shards of its task share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from crawler.clock import Clock
from crawler.engine.frontier import redis_shared_functions as functions
from crawler.engine.frontier.redis_run import HOLD_S, RedisRun, in_ms, keys_of, prefix_of
from crawler.engine.frontier.redis_server import RedisServer, pairs
from crawler.engine.frontier.redis_shared_task import NO_SITE

SWEPT_AT_ONCE = 1000
"""So many keys are removed in one call."""


def shared_key_of(name: str) -> str:
    """The key of the hash that all shards of a task share."""
    return f"{prefix_of(name)}shared"


def shared_keys_of(name: str, shard: int = 0) -> Sequence[str]:
    """What the functions for shards get as keys: those of a shard, and the shared one."""
    return (*keys_of(name, shard).values(), shared_key_of(name))


def sweep(server: RedisServer, name: str, title: str) -> None:
    """Remove what the shards of a task shared, part by part. `title` is what the sweep was called
    when the task was dissolved. A task that has begun anew meanwhile stays as it is."""
    keys = shared_keys_of(name)
    while server.call(functions.SWEEP, keys, title, SWEPT_AT_ONCE)[2]:
        pass


class SharedRun(RedisRun):
    """One run of a shard."""

    def __init__(
        self,
        server: RedisServer,
        name: str,
        shard: int,
        now_s: Callable[[], float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(server, name, now_s, clock, shard=shard)
        self.name, self.shard = name, shard
        self.server = server

    def exchange(self, words: Sequence[Any]) -> Sequence[Any]:
        """Have a step and its exchange carried out, once. Returns the figures of the answer, the
        texts for all, and what was drawn."""
        return self._step(functions.EXCHANGE, words)

    def know(self, marks: Sequence[int]) -> None:
        """Note URLs as known."""
        self._step(functions.KNOW, marks)

    def share(self, about: str, left: int, words: Sequence[Any]) -> None:
        """Begin to share the task. `words` are commands."""
        self._step(functions.SHARE, (about, left, *words))

    def about(self) -> str | None:
        """What the task is about, as its head says; None if that does not share it yet."""
        told: bytes | None = self.server.ask("HGET", shared_key_of(self.name), "about")
        return None if told is None else told.decode()

    def clear_shared(self) -> None:
        """Remove what was shared, and what is left of it from an earlier time. The own state
        stays."""
        if self.server.ask("EXISTS", shared_key_of(self.name)):
            self._disband(keeps_own=True)

    def clear_all(self) -> None:
        """Remove all shards and what they share, and end the run."""
        self._disband(keeps_own=False)
        self.end()

    def forsaken(self, for_s: float) -> Sequence[int]:
        """The other shards that nobody has run for so long."""
        told = self.server.call(functions.FORSAKEN, self._all_keys, self.shard, for_s)
        return sorted(map(int, told[2]))

    def texts(self, name: str) -> Mapping[int, str]:
        """What each other shard keeps under that name. Raises StoreFailed, and NotYet at once if
        Redis does not answer."""
        asked = (self.shard, name)
        told = self.server.call(functions.TEXTS, self._all_keys, *asked, is_patient=False)
        return {int(shard): text.decode(errors="replace") for shard, text in pairs(told[2])}

    def take_over(self, for_s: float) -> bool:
        """Become the run of this shard, if nobody has run it for so long. Returns whether it did.
        The epoch stays, so the next run is a later one."""
        self._token = uuid4().hex
        asked = (self._token, in_ms(HOLD_S), for_s)
        told, time_s, *epoch = self.server.call(functions.TAKE_OVER, self._all_keys, *asked)
        if told != b"OPEN":
            return False
        self.epoch, self.fault = epoch[0], None
        self._set_clock(time_s)
        return True

    def served_sites(self) -> Iterator[str]:
        """The sites that this shard serves."""
        cursor = b"0"
        while True:
            cursor, found = self.server.ask("HSCAN", f"{prefix_of(self.name)}owners", cursor)
            for site, shard in pairs(found):
                if site.decode() != NO_SITE and int(shard) == self.shard:
                    yield site.decode()
            if int(cursor) == 0:
                return

    @property
    def _all_keys(self) -> Sequence[str]:
        return shared_keys_of(self.name, self.shard)

    def _disband(self, keeps_own: bool) -> None:
        title = uuid4().hex
        self._call(functions.DISBAND, title, int(keeps_own))
        sweep(self.server, self.name, title)
