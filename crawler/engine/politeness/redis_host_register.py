"""The register of hosts in Redis, for workers on many machines.

Each call is one function, which Redis runs whole. It measures all time by its own clock. Redis may
lose the end of what it was told, when it loses power or another server takes over. The functions
notice: their own memory does not outlive the server. Or it has lost everything; then a worker says
that its token was known. In both cases nobody gets a host for as long as a lease lasts, and every
worker tells again what it owns. If the token of a worker is lost, it owns nothing any more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar
from zlib import crc32

from gevent import joinall
from gevent.pool import Pool

from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.store import StoreFailed
from crawler.engine.politeness.host_register import (
    LEASE_S,
    Answer,
    Grant,
    RegisterAway,
    Told,
    Want,
)
from crawler.engine.politeness.redis_host_functions import TELL

T = TypeVar("T")

SLOTS = 256
"""A cluster of Redis spreads the hosts by so many parts."""
AT_ONCE = 500
"""A call tells so many things. Redis does nothing else meanwhile."""
AT_A_TIME = 16
"""So many slots are told at a time."""


class Server(Protocol):
    """What calls our functions."""

    def call(self, function: str, keys: Sequence[str], *args: Any, is_patient: bool = True) -> Any:
        """Call a function. Raises StoreFailed, and NotYet without patience."""
        ...


class RedisHostRegister:
    """A register in Redis."""

    def __init__(
        self, server: Server, name: str = "", slots: int = 1, lease_s: float = LEASE_S
    ) -> None:
        """`name` tells registers apart that share one Redis. A cluster of Redis takes `SLOTS`
        slots, all others one."""
        self.lease_s = lease_s
        self._server = server
        self._name = name
        self._slots = slots
        self._used: defaultdict[str, set[int]] = defaultdict(set)
        """The slots in which each token is known: each renews it by itself."""

    def tell(self, token: str, told: Told) -> Answer:
        """Renew a token, and tell what has changed."""
        things = self._by_slot(told)
        slots = sorted(self._used[token] | things.keys() or {0})
        told_each = [(slot, token, things[slot], told.is_last) for slot in slots]
        whole = Answer()
        for answer in _side_by_side(self._tell_slot, told_each):
            if isinstance(answer, RegisterAway):
                raise answer
            whole.add(answer)
        if not whole.is_valid:
            del self._used[token]
        return whole

    def _tell_slot(
        self, slot: int, token: str, things: Sequence[list[Any]], is_last: bool
    ) -> Answer | RegisterAway:
        """Tell one slot, in order."""
        whole = Answer()
        try:
            for part in _parts(things):
                whole.add(self._call(slot, token, part, is_last))
                if not whole.is_valid:
                    break
        except RegisterAway as error:
            return error
        return whole

    def _by_slot(self, told: Told) -> defaultdict[int, list[list[Any]]]:
        """What is told to each slot, in order."""
        things: defaultdict[int, list[list[Any]]] = defaultdict(list)
        for host, pause_s in told.holds:
            things[self._slot(host)].append(["hold", host, _ms(pause_s)])
        for host, wait_s, state, keep_s in told.returns:
            returned = ["return", host, _ms(wait_s), _ms(max(wait_s, keep_s)), state]
            things[self._slot(host)].append(returned)
        for host in told.leaves:
            things[self._slot(host)].append(["leave", host])
        for host, pause_s in told.wants:
            things[self._slot(host)].append(["want", host, _ms(pause_s)])
        return things

    def _slot(self, host: str) -> int:
        return crc32(host.encode(errors="surrogateescape")) % self._slots

    def _call(self, slot: int, token: str, part: Sequence[list[Any]], is_last: bool) -> Answer:
        prefix = f"crawler:hosts:{{{self._name}{slot}}}"
        # A slot that a cluster is just moving refuses a call of which it has not all keys.
        hosts = dict.fromkeys(host for _, host, *_ in part)
        keys = [f"{prefix}:tokens", *(f"{prefix}:h:{host}" for host in hosts)]
        words = [word for thing in part for word in thing]
        about = (token, _ms(self.lease_s), int(is_last), int(slot in self._used[token]))
        try:
            told, *rest = self._server.call(TELL, keys, *about, len(part), *words, is_patient=False)
        except (StoreFailed, NotYet) as error:
            raise RegisterAway(str(error)) from error
        if told != b"VALID":
            return Answer(is_valid=False)
        self._used[token].add(slot)
        has_forgotten, granted, sought = rest
        return Answer(
            has_forgotten=bool(has_forgotten),
            granted=[
                Grant(_text(host), int(wait) / 1000, state.decode(), int(age) / 1000)
                for host, wait, state, age in _grouped(granted, 4)
            ],
            sought=[Want(_text(host), int(pause) / 1000) for host, pause in _grouped(sought, 2)],
        )


def _side_by_side(
    tell: Callable[..., Answer | RegisterAway], each: Sequence[Sequence[Any]]
) -> list[Answer | RegisterAway]:
    """The answers of all slots. In a cluster they are many, and each takes a while."""
    if len(each) == 1:
        return [tell(*each[0])]
    pool = Pool(AT_A_TIME)
    asked = [pool.spawn(tell, *arguments) for arguments in each]
    joinall(asked)
    return [greenlet.get() for greenlet in asked]


def _parts(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """At least one part, perhaps empty."""
    for at in range(0, max(1, len(things)), AT_ONCE):
        yield things[at : at + AT_ONCE]


def _grouped(flat: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (flat[at : at + size] for at in range(0, len(flat), size))


def _ms(seconds: float) -> int:
    """Rounded up: no pause is shorter."""
    return math.ceil(seconds * 1000)


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
