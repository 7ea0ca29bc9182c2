"""Decides who may send to which host, and when. All crawls of a worker share this.

A host is a name or an address; all its ports count as one host. Of all crawls that use a host, the
longest delay and the lowest concurrency hold, and every rate limit. Crawls take turns in the order
in which they asked, so none starves. Others overtake a crawl that does not use its turn in time.
Each call takes constant time, however many hosts there are. The pace of each host is in `host.py`.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable

from crawler.clock import Clock
from crawler.engine.politeness.cooldowns import Cooldowns
from crawler.engine.politeness.host import Host, HostTerms, Member
from crawler.engine.politeness.host_owner import HostOwner
from crawler.engine.politeness.host_register import Grant, HostRegister, Return, Want


class Hosts:
    """The hosts in use, and those whose delay is not over yet."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.cooldowns = Cooldowns(clock, chance)
        """The hosts that have a cooldown."""
        self._clock = clock
        self._chance = chance
        self._hosts: dict[str, Host] = {}
        self._purge_at = 1024
        self._owner: HostOwner | None = None

    def share(self, register: HostRegister, name: str) -> HostOwner:
        """Send only to hosts that this worker owns from now on. `name` is that of the worker. Of
        the owner that is returned, `tend_forever` must run."""
        self._owner = HostOwner(register, name, self._clock, self)
        return self._owner

    def __len__(self) -> int:
        return len(self._hosts)

    def join(self, member: Member, terms: HostTerms) -> None:
        """Set the terms of a member."""
        if len(self._hosts) >= self._purge_at:
            self._purge()
        host = self._hosts.setdefault(member.host, Host())
        host.members[member] = terms
        before_s = host.pause_s
        host.agree()
        if host.pause_s < before_s:
            host.wake_all()
        if self._owner is not None:
            self._owner.pause_changed(member.host)

    def leave(self, member: Member) -> None:
        """Forget a member. It must still release its requests in flight."""
        host = self._hosts.get(member.host)
        if host is None:
            return
        host.members.pop(member, None)
        host.waiting.pop(member, None)
        host.agree()
        host.wake_all()
        if self._owner is None:
            return
        if host.members:
            self._owner.pause_changed(member.host)
        else:
            self._owner.left(member.host)

    def take(self, member: Member) -> float | None:
        """Ask for a turn of a member that has joined.

        None means that the member may send one request now. It calls `release` when the request has
        ended. A number is the monotonic time at which the member should ask again. Infinity means
        that `member.wake` will be called.
        """
        host = self._hosts[member.host]
        now_s = self._clock.monotonic()
        if self._owner is not None and not self._owner.may_send(member.host, now_s):
            host.waiting.setdefault(member)
            return math.inf
        again_s = host.wait(member, now_s, self.cooldowns.get(member.host))
        if again_s is not None:
            host.waiting.setdefault(member)
            return again_s
        host.waiting.pop(member, None)
        host.send(now_s, self._chance() if host.random else 0.5)
        if self._owner is not None:
            self._owner.sent(member.host)
        for next_member in host.waiting:
            next_member.wake()
            break
        return None

    def holds(self, name: str) -> bool:
        """Whether the others wait until the request that was sent last goes onto the wire."""
        return self._hosts[name].is_held

    def went_out(self, name: str) -> None:
        """Record that the request that was sent last goes onto the wire now."""
        host = self._hosts.get(name)
        if host is not None and host.is_held:
            host.went_out(self._clock.monotonic())
            host.wake_all()

    def ready_s(self, name: str) -> float:
        """The monotonic time from which the host may be sent to, if nobody else sends to it."""
        return self._hosts[name].ready_s

    def in_flight(self, name: str) -> int:
        """How many requests to a host are in flight."""
        host = self._hosts.get(name)
        return host.in_flight if host else 0

    def answered(
        self, member: Member, sent_s: float, began_s: float, waited_s: float = 0.0
    ) -> None:
        """Record that the answer to the request whose turn came at `sent_s` began at `began_s`,
        after `waited_s`; or that the request failed at `began_s`."""
        host = self._hosts[member.host]
        if sent_s >= host.turn_s:  # no other has had its turn since
            host.reached(began_s, waited_s)

    def adapt(self, member: Member, waited_s: float, is_good: bool) -> None:
        """Adapt the delay to an answer's latency, if the member's terms ask for this."""
        self._hosts[member.host].adapt(waited_s, is_good, member)
        if self._owner is not None:
            self._owner.pause_grew(member.host)

    def release(self, name: str) -> None:
        """Record that a request to a host has ended."""
        host = self._hosts[name]
        host.ended(self._clock.monotonic())
        host.wake_all()

    def granted(self, grant: Grant) -> None:
        """Take over a host from another worker."""
        host, now_s = self._hosts.setdefault(grant.host, Host()), self._clock.monotonic()
        host.from_s = now_s + grant.wait_s
        host.set_others_pause(0.0)
        if grant.state:
            told = json.loads(grant.state)
            host.take_over(told, now_s - grant.age_s)
            if told["rest"] is not None:
                self.cooldowns.take_over(grant.host, told["rest"], grant.age_s)

    def returned(self, name: str) -> Return | None:
        """What the next worker must know of a host; None while a request to it is in flight."""
        host, now_s = self._hosts.get(name), self._clock.monotonic()
        if host is None:
            return Return(name, 0.0)
        if host.in_flight:
            return None
        rest = self.cooldowns.told(name)
        told = host.told(now_s, rest)
        wait_s = max(0.0, host.ready_s - now_s, rest[0] if rest else 0.0)
        lasts = [each[-1] for each in told["spent"]] + (rest[:2] if rest else [])
        host.set_others_pause(0.0)  # only the owner hears of it
        return Return(name, wait_s, json.dumps(told), max([wait_s, *lasts]))

    def sought(self, want: Want) -> None:
        """Keep the pause for which other workers ask that wait for a host, as long as they do."""
        host = self._hosts.get(want.host)
        if host is not None:
            before_s = host.pause_s
            host.set_others_pause(want.pause_s)
            if host.pause_s < before_s:
                host.wake_all()

    def is_used(self, name: str) -> bool:
        """Whether a crawl of this worker has something to send to a host, and the host may be
        asked now."""
        host, cooldown = self._hosts.get(name), self.cooldowns.get(name)
        is_resting = cooldown is not None and cooldown.until_s > self._clock.monotonic()
        return host is not None and bool(host.members) and not is_resting

    def pause_s(self, name: str) -> float:
        """What must pass between two requests to a host, for this worker's crawls."""
        host = self._hosts.get(name)
        return max(host.delay_s, host.pace_s, host.crawl_delay_s) if host else 0.0

    def pause_in_force_s(self, name: str) -> float:
        """What passes between two requests to a host at present, rate limits aside, as far as this
        worker knows; 0 if no crawl of this worker uses the host yet."""
        host = self._hosts.get(name)
        return host.pause_s if host is not None and host.members else 0.0

    def lease(self, name: str) -> str:
        """Whether this worker alone may send to a host: `held`; `awaited` while it waits for that;
        empty if it does neither, or shares no hosts."""
        return self._owner.lease(name) if self._owner is not None else ""

    def wake(self, name: str) -> None:
        """Let those ask again that wait for a host."""
        host = self._hosts.get(name)
        if host is not None:
            host.wake_all()

    def _purge(self) -> None:
        now_s = self._clock.monotonic()
        for name, host in list(self._hosts.items()):
            if host.is_idle(now_s):
                del self._hosts[name]
        self._purge_at = max(1024, 2 * len(self._hosts))
