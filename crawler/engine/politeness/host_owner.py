"""The hosts that this worker owns, where several workers share a register of hosts.

The crawls ask before each request whether the worker owns the host. A host that it does not own is
asked for, and whoever waits for it is woken when it comes. A host goes back when nothing is left to
send to it, or when others want it and this worker has had its turn.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Protocol

from gevent.event import Event

from crawler.clock import Backoff, Clock
from crawler.engine.politeness.host_register import (
    Answer,
    Grant,
    HostRegister,
    RegisterAway,
    Return,
    Told,
    Want,
)
from crawler.logs import get_logger

log = get_logger(__name__)

TICK_S = 0.1
"""The shortest pause between two calls to the register. What comes meanwhile shares one."""
TURN_REQUESTS = 6
"""A host that others want goes back after so many requests, but not before `TURN_LEAST_S`."""
TURN_LEAST_S = 2.0
TURN_MOST_S = 10.0
"""A host that others want goes back after that time in any case."""
WISH_S = 1.0
"""A wish is repeated so often: the owner may have died, and nobody else would notice."""
SAFE_SHARE = 0.8
"""The share of a token's life in which a worker sends. The rest is for what is under way."""
RENEWALS = 3
"""How often a token is renewed during its life."""


class Keeper(Protocol):
    """What paces the hosts."""

    def granted(self, grant: Grant) -> None:
        """The worker owns a host from now on."""
        ...

    def returned(self, host: str) -> Return | None:
        """What the next owner must know; None while a request to the host is under way."""
        ...

    def sought(self, want: Want) -> None:
        """Others want a host of this worker, and ask for that pause."""
        ...

    def pause_s(self, host: str) -> float:
        """What must pass between two requests to a host."""
        ...

    def wake(self, host: str) -> None:
        """Whoever waits for the host may ask again."""
        ...


@dataclass(slots=True)
class _Tenure:
    """A host that this worker owns."""

    since_s: float
    pause_s: float
    """As the register knows it."""
    sent: int = 0
    is_sought: bool = False
    """Whether others want it."""
    is_ending: bool = False
    """Whether nothing more is sent, and it goes back when nothing is under way."""

    def had_its_turn(self, now_s: float) -> bool:
        """Whether it is the others' turn, if they want the host."""
        held_s = now_s - self.since_s
        return held_s >= TURN_MOST_S or (self.sent >= TURN_REQUESTS and held_s >= TURN_LEAST_S)


class HostOwner:
    """What this worker owns and wants. `keeper` paces the hosts that it owns."""

    def __init__(self, register: HostRegister, name: str, clock: Clock, keeper: Keeper) -> None:
        """`name` is unique among all processes that ever share the register."""
        self._register = register
        self._name = name
        self._numbers = itertools.count(1)
        self._clock = clock
        self._keeper = keeper
        self._tenures: dict[str, _Tenure] = {}
        self._wishes: dict[str, float] = {}
        """The hosts that are wanted, each with the time at which that is told again."""
        self._leaves: dict[str, None] = {}
        """Hosts that are no longer wanted, of which the register does not know yet."""
        self._returns: dict[str, Return] = {}
        """Hosts that went back, of which the register does not know yet."""
        self._token = self._next_token()
        self._until_s = -math.inf
        """The time until which the worker may send."""
        self._due_s = -math.inf
        """The time of the next renewal."""
        self._changed = Event()
        self._is_away = False

    def __len__(self) -> int:
        return len(self._tenures)

    @property
    def waiting(self) -> int:
        """How many hosts are waited for."""
        return len(self._wishes)

    def may_send(self, host: str, now_s: float) -> bool:
        """Whether a request may be sent to a host now. If not, `keeper.wake` is called when that
        may have changed."""
        tenure = self._tenures.get(host)
        if tenure is None:
            if host not in self._wishes:
                self._wishes[host] = -math.inf
                self._changed.set()
            return False
        return now_s < self._until_s and not tenure.is_ending

    def sent(self, host: str) -> None:
        """Count a request that is sent to a host that this worker owns."""
        self._tenures[host].sent += 1

    def left(self, host: str) -> None:
        """Note that nobody of this worker has anything to send to a host for now."""
        if self._wishes.pop(host, None) is not None:
            self._leaves[host] = None
        elif host in self._tenures:
            self._tenures[host].is_ending = True
            self._changed.set()

    def tend_forever(self) -> None:
        """Renew the token, and tell the register what has changed."""
        backoff = Backoff(TICK_S, 1.0)
        while True:
            self._clock.wait(self._changed, max(TICK_S, self._idle_s()))
            self._changed.clear()
            try:
                self.tend()
            except RegisterAway as error:
                self._tell_away(error)
                self._clock.sleep(backoff.next_s())
            else:
                self._tell_back()
                backoff.reset()
                self._clock.sleep(TICK_S)

    def tend(self) -> None:
        """Tell the register once what has changed. Raises RegisterAway."""
        began_s = self._clock.monotonic()
        told = self._told(began_s)
        answer = self._register.tell(self._token, told)
        if not answer.is_valid:
            self._begin_anew()
            return
        was_over = self._until_s <= self._clock.monotonic()
        self._until_s = began_s + SAFE_SHARE * self._register.lease_s
        self._due_s = began_s + self._register.lease_s / RENEWALS
        self._note(told)
        self._take(answer)
        if was_over:
            self._wake_all()

    def close(self) -> None:
        """Give everything back. What is still under way keeps its host until the pause is over."""
        for tenure in self._tenures.values():
            tenure.is_ending = True
        self._collect_returns()
        told = Told(returns=list(self._returns.values()), is_last=True)
        try:
            self._register.tell(self._token, told)
        except RegisterAway as error:
            log.warning(
                "hosts could not be given back; others get them when the lease has ended",
                error=str(error),
            )

    def _next_token(self) -> str:
        return f"{self._name}.{next(self._numbers)}"

    def _idle_s(self) -> float:
        """The time until the next call, if nothing changes before."""
        tenures = self._tenures.values()
        if self._wishes or any(tenure.is_sought or tenure.is_ending for tenure in tenures):
            return 0.0
        return self._due_s - self._clock.monotonic()

    def _told(self, now_s: float) -> Told:
        for tenure in self._tenures.values():
            if tenure.is_sought and tenure.had_its_turn(now_s):
                tenure.is_ending = True
        self._collect_returns()
        pause_s = self._keeper.pause_s
        due = [host for host, at_s in self._wishes.items() if at_s <= now_s]
        held = [Want(host, pause_s(host)) for host in self._tenures]
        return Told(
            wants=[Want(host, pause_s(host)) for host in due],
            leaves=list(self._leaves),
            holds=[want for want in held if want.pause_s > self._tenures[want.host].pause_s],
            returns=list(self._returns.values()),
        )

    def _collect_returns(self) -> None:
        """End the tenures of hosts to which nothing is under way."""
        for host in [host for host, tenure in self._tenures.items() if tenure.is_ending]:
            returned = self._keeper.returned(host)
            if returned is not None:
                del self._tenures[host]
                self._returns[host] = returned
                self._keeper.wake(host)  # who still has something to send wants it again

    def _note(self, told: Told) -> None:
        """Note that the register knows this."""
        for returned in told.returns:
            self._returns.pop(returned.host, None)
        for host in told.leaves:
            self._leaves.pop(host, None)
        for host, pause_s in told.holds:
            if host in self._tenures:
                self._tenures[host].pause_s = pause_s
        again_s = self._clock.monotonic() + WISH_S
        for want in told.wants:
            if want.host in self._wishes:
                self._wishes[want.host] = again_s

    def _take(self, answer: Answer) -> None:
        now_s = self._clock.monotonic()
        for grant in answer.granted:
            self._begin(grant, now_s)
        for want in answer.sought:
            if want.host in self._tenures:
                self._tenures[want.host].is_sought = True
                self._keeper.sought(want)
        if answer.has_forgotten:
            for tenure in self._tenures.values():
                tenure.pause_s = -math.inf
            for host in self._wishes:
                self._wishes[host] = -math.inf

    def _begin(self, grant: Grant, now_s: float) -> None:
        if grant.host in self._tenures:
            return
        is_wanted = self._wishes.pop(grant.host, None) is not None
        tenure = _Tenure(now_s, self._keeper.pause_s(grant.host), is_ending=not is_wanted)
        self._tenures[grant.host] = tenure
        self._keeper.granted(grant)
        self._keeper.wake(grant.host)

    def _begin_anew(self) -> None:
        """Go on with a new token, because the old one has ended: others may own the hosts now."""
        log.warning("the lease of hosts has ended; asking for them again", hosts=len(self))
        self._token = self._next_token()
        self._until_s = self._due_s = -math.inf
        lost, self._tenures = self._tenures, {}
        self._returns.clear()
        self._leaves.clear()
        for host in self._wishes:
            self._wishes[host] = -math.inf
        for host in lost:
            self._keeper.wake(host)
        self._changed.set()

    def _wake_all(self) -> None:
        for host in list(self._tenures):
            self._keeper.wake(host)

    def _tell_away(self, error: RegisterAway) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning(
                "the register of hosts does not answer; nothing is sent to hosts that several"
                " workers share until it is back",
                error=str(error),
            )

    def _tell_back(self) -> None:
        if self._is_away:
            self._is_away = False
            log.info("the register of hosts is back")
