"""The hosts that this worker owns, where several workers share a register of hosts.

The crawls ask before each request whether the worker owns the host. A host that it does not own is
asked for, and whoever waits for it is woken when it comes. A host goes back when nothing is left to
send to it, or when others want it and this worker has had its turn.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

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
from crawler.engine.politeness.host_tenure import Keeper, Tenure
from crawler.logs import get_logger
from crawler.model.statistics import AWAITED, HELD

log = get_logger(__name__)

TICK_S = 0.1
"""The shortest pause between two calls to the register. What comes meanwhile shares one."""
WISH_S = 1.0
"""A wish is repeated so often: the owner may have died, and nobody else would notice."""
WISHES_A_SECOND = 1000
"""If a worker waits for very many hosts, it repeats so many wishes, and each less often."""
WISH_MOST_S = 300.0
HOLD_S = 21_600.0
"""An owner says so often that it still has a host. The register forgets one after a day."""
SAFE_SHARE = 0.8
"""The share of a token's life in which a worker sends. The rest is for what is under way."""
RENEWALS = 3
"""How often a token is renewed during its life."""


class HostOwner:
    """What this worker owns and wants. `keeper` paces the hosts that it owns."""

    def __init__(self, register: HostRegister, name: str, clock: Clock, keeper: Keeper) -> None:
        """`name` is unique among all processes that ever share the register."""
        self._register = register
        self._name = name
        self._numbers = itertools.count(1)
        self._clock = clock
        self._keeper = keeper
        self._tenures: dict[str, Tenure] = {}
        self._sought: dict[str, None] = {}
        """The hosts of tenures that others want, and which go on."""
        self._ending: dict[str, None] = {}
        """The hosts of tenures that end."""
        self._holds: dict[str, None] = {}
        """The hosts of tenures of which the register must be told."""
        self._told_holds: deque[tuple[float, str]] = deque()
        """When it was told of each, the oldest first. Some are told again, or gone."""
        self._wishes: dict[str, float] = {}
        """The hosts that are wanted, each with the time at which that was told; -inf before."""
        self._new_wishes: dict[str, None] = {}
        self._told_wishes: deque[tuple[float, str]] = deque()
        """The same for wishes."""
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

    def lease(self, host: str) -> str:
        """`held` if this worker owns a host, `awaited` if it wants to, or else empty."""
        if host in self._tenures:
            return HELD
        return AWAITED if host in self._wishes else ""

    def may_send(self, host: str, now_s: float) -> bool:
        """Whether a request may be sent to a host now. If not, `keeper.wake` is called when that
        may have changed."""
        tenure = self._tenures.get(host)
        if tenure is None:
            if host not in self._wishes:
                self._wish(host)
            return False
        return now_s < self._until_s and not tenure.is_ending

    def sent(self, host: str) -> None:
        """Count a request that is sent to a host that this worker owns."""
        self._tenures[host].sent += 1

    def left(self, host: str) -> None:
        """Note that nobody of this worker has anything to send to a host for now."""
        if self._wishes.pop(host, None) is not None:
            self._new_wishes.pop(host, None)
            self._leaves[host] = None
        elif host in self._tenures:
            self._end(host)
            self._changed.set()

    def pause_changed(self, host: str) -> None:
        """Note that the pause of a host has changed, perhaps: its crawls are others now."""
        tenure = self._tenures.get(host)
        if tenure is not None and self._keeper.pause_s(host) != tenure.pause_s:
            self._holds[host] = None
        elif host in self._wishes:
            self._new_wishes[host] = None
        else:
            return
        self._changed.set()

    def pause_grew(self, host: str) -> None:
        """Note that the pause of a host has become longer, perhaps. It changes with each answer,
        so the register does not learn each time that it has become shorter."""
        tenure = self._tenures.get(host)
        if tenure is not None and self._keeper.pause_s(host) > tenure.pause_s:
            self.pause_changed(host)

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
        for host in self._tenures:
            self._end(host)
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

    def _wish(self, host: str) -> None:
        self._wishes[host] = -math.inf
        self._new_wishes[host] = None
        self._changed.set()

    def _end(self, host: str) -> None:
        self._tenures[host].is_ending = True
        self._ending[host] = None
        self._sought.pop(host, None)

    def _idle_s(self) -> float:
        """The time until the next call, if nothing changes before."""
        if self._wishes or self._sought or self._ending or self._holds or self._returns:
            return 0.0
        return self._due_s - self._clock.monotonic()

    def _told(self, now_s: float) -> Told:
        for host in [host for host in self._sought if self._tenures[host].had_its_turn(now_s)]:
            self._end(host)
        self._collect_returns()
        self._repeat_wishes(now_s)
        self._repeat_holds(now_s)
        pause_s = self._keeper.pause_s
        return Told(
            wants=[Want(host, pause_s(host)) for host in self._new_wishes],
            leaves=list(self._leaves),
            holds=[Want(host, pause_s(host)) for host in self._holds],
            returns=list(self._returns.values()),
        )

    def _repeat_wishes(self, now_s: float) -> None:
        """Tell wishes again that were told long ago."""
        period_s = min(max(WISH_S, len(self._wishes) / WISHES_A_SECOND), WISH_MOST_S)
        while self._told_wishes and self._told_wishes[0][0] + period_s <= now_s:
            told_s, host = self._told_wishes.popleft()
            if self._wishes.get(host) == told_s:
                self._new_wishes[host] = None

    def _repeat_holds(self, now_s: float) -> None:
        """Tell of tenures again of which the register has not heard for long."""
        while self._told_holds and self._told_holds[0][0] + HOLD_S <= now_s:
            told_s, host = self._told_holds.popleft()
            tenure = self._tenures.get(host)
            if tenure is not None and tenure.told_s == told_s:
                self._holds[host] = None

    def _collect_returns(self) -> None:
        """End the tenures of hosts to which nothing is under way."""
        for host in list(self._ending):
            returned = self._keeper.returned(host)
            if returned is not None:
                del self._tenures[host], self._ending[host]
                self._holds.pop(host, None)
                self._returns[host] = returned
                if self._keeper.is_used(host):  # the next owner learns at once of the pause
                    self._wish(host)
                self._keeper.wake(host)

    def _note(self, told: Told) -> None:
        """Note that the register knows this."""
        for returned in told.returns:
            self._returns.pop(returned.host, None)
        for host in told.leaves:
            self._leaves.pop(host, None)
        now_s = self._clock.monotonic()
        for host, pause_s in told.holds:
            if self._keeper.pause_s(host) == pause_s:  # it may have changed meanwhile
                self._holds.pop(host, None)
            if host in self._tenures:
                self._tenures[host].pause_s = pause_s
                self._told_of(host, now_s)
        for want in told.wants:
            if self._keeper.pause_s(want.host) == want.pause_s:
                self._new_wishes.pop(want.host, None)
            if want.host in self._wishes:
                self._wishes[want.host] = now_s
                self._told_wishes.append((now_s, want.host))

    def _told_of(self, host: str, now_s: float) -> None:
        self._tenures[host].told_s = now_s
        self._told_holds.append((now_s, host))

    def _take(self, answer: Answer) -> None:
        now_s = self._clock.monotonic()
        for grant in answer.granted:
            self._begin(grant, now_s)
        for want in answer.sought:
            self._heed(want)
        if answer.has_forgotten:
            self._holds.update(dict.fromkeys(self._tenures))
            self._new_wishes.update(dict.fromkeys(self._wishes))

    def _heed(self, want: Want) -> None:
        """Note what the line for a host asks for."""
        host, tenure = want.host, self._tenures.get(want.host)
        if tenure is not None:
            self._keeper.sought(want)
            if want.pause_s < 0:
                self._sought.pop(host, None)
            elif not tenure.is_ending:
                self._sought[host] = None
        elif want.pause_s >= 0 and host not in self._wishes:
            self._disown(host)

    def _begin(self, grant: Grant, now_s: float) -> None:
        host = grant.host
        if host in self._tenures:
            return
        is_wanted = self._wishes.pop(host, None) is not None
        if self._new_wishes.pop(host, False) is None:  # its pause has changed meanwhile
            self._holds[host] = None
        self._tenures[host] = Tenure(now_s, self._keeper.pause_s(host), now_s)
        self._told_of(host, now_s)
        self._keeper.granted(grant)
        if not is_wanted:
            self._end(host)
        self._keeper.wake(host)

    def _disown(self, host: str) -> None:
        """Give back a host that only the register believes to be here: it has forgotten that it
        went back, or the answer that granted it was lost."""
        returned = self._keeper.returned(host)
        if returned is not None:
            self._returns[host] = returned

    def _begin_anew(self) -> None:
        """Go on with a new token, because the old one has ended: others may own the hosts now."""
        if self._tenures:  # else nobody has to wait for anything
            log.warning("the lease of hosts has ended; asking for them again", hosts=len(self))
        self._token = self._next_token()
        self._until_s = self._due_s = -math.inf
        lost, self._tenures = self._tenures, {}
        for told in (self._sought, self._ending, self._holds, self._returns, self._leaves):
            told.clear()
        self._told_holds.clear()
        self._new_wishes.update(dict.fromkeys(self._wishes))
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
