"""Politeness, shared by all crawls of a worker: who may send to which host, and when.

A host is a name or an address; its ports count as one. Of the crawls that use a host the longest
delay and the lowest concurrency hold for all. They take turns in the order in which they asked, so
none starves; one that does not come for its turn in time is overtaken. Each call is O(1) in the
number of hosts.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Protocol

from crawler.clock import Clock

GRACE_S = 0.05
"""How long a turn is kept for the one that is first in line, who may be busy otherwise."""


class Member(Protocol):
    """Somebody who sends to one host: the queue of a crawl for a site."""

    host: str
    delay_s: float
    host_concurrency: int

    def wake(self) -> None:
        """Its turn may have come: it should ask again."""
        ...


class _Host:
    __slots__ = ("delay_s", "freed_s", "in_flight", "limit", "members", "sent_s", "waiting")

    def __init__(self) -> None:
        self.members: set[Member] = set()
        self.waiting: OrderedDict[Member, None] = OrderedDict()
        self.sent_s = -math.inf
        self.freed_s = -math.inf
        self.in_flight = 0
        self.delay_s = 0.0
        self.limit = 1

    @property
    def ready_s(self) -> float:
        return self.sent_s + self.delay_s

    def agree(self) -> None:
        """Work out the terms that hold for all members; the last delay outlives its member."""
        self.delay_s = max((member.delay_s for member in self.members), default=self.delay_s)
        self.limit = min((member.host_concurrency for member in self.members), default=1)

    def wait(self, member: Member, now_s: float) -> float | None:
        """When that member should ask again; None when it is its turn."""
        if self.in_flight >= self.limit:
            return math.inf
        come_s = self.ready_s
        if next(iter(self.waiting), member) is not member:
            come_s = max(come_s, self.freed_s) + GRACE_S
        return come_s if come_s > now_s else None

    def wake_all(self) -> None:
        """Wake whoever waits: the first for its turn, the others for the case it does not come."""
        for member in list(self.waiting):
            member.wake()


class Hosts:
    """The hosts in use, and those whose delay has not passed yet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._purge_at = 1024

    def __len__(self) -> int:
        return len(self._hosts)

    def join(self, member: Member) -> None:
        """Let a member's terms count; again when they have changed."""
        if len(self._hosts) >= self._purge_at:
            self._purge()
        host = self._hosts.setdefault(member.host, _Host())
        host.members.add(member)
        host.agree()

    def leave(self, member: Member) -> None:
        """Forget a member; what it has in flight is still to be released."""
        host = self._hosts.get(member.host)
        if host is None:
            return
        host.members.discard(member)
        host.waiting.pop(member, None)
        host.agree()
        host.wake_all()

    def take(self, member: Member) -> float | None:
        """Ask for a turn of a member that has joined.

        None means that it may send one request now and calls `release` when that has ended. Else
        the monotonic moment to ask again; infinity means that `member.wake` will be called.
        """
        host = self._hosts[member.host]
        now_s = self._clock.monotonic()
        again_s = host.wait(member, now_s)
        if again_s is not None:
            host.waiting.setdefault(member)
            return again_s
        host.waiting.pop(member, None)
        host.in_flight += 1
        host.sent_s = now_s
        for next_member in host.waiting:
            next_member.wake()
            break
        return None

    def ready_s(self, name: str) -> float:
        """The moment from which on the host may be sent to again, if nobody else does."""
        return self._hosts[name].ready_s

    def release(self, name: str) -> None:
        """A request to that host has ended."""
        host = self._hosts[name]
        host.in_flight -= 1
        host.freed_s = self._clock.monotonic()
        host.wake_all()

    def _purge(self) -> None:
        now_s = self._clock.monotonic()
        for name, host in list(self._hosts.items()):
            if not host.members and not host.in_flight and host.ready_s <= now_s:
                del self._hosts[name]
        self._purge_at = max(1024, 2 * len(self._hosts))
