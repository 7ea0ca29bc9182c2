"""The register of hosts: which worker may send to which host.

Several workers that crawl the same hosts share a register. A host has one owner at a time. Only the
owner sends to the host, and it paces the host by its own clock. So no request needs a call, and no
two requests come closer together than the pause, whichever workers send them.

A worker has a token. The register knows how long it lives, and each call renews that. A worker
stops sending a while before its token ends, by its own clock. If it dies, its hosts are free when
the token has ended and the pause is over. Others that want a host stand in line for it, and get it
in the order in which they asked.

Only durations travel, never moments: clocks of workers need not agree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from crawler.clock import Clock
from crawler.errors import CrawlerError

LEASE_S = 5.0
"""The seconds that a token lives after its last renewal."""
SWEEP_S = 60.0
"""A register in memory looks so often for what it can forget."""
FORGOTTEN_S = 3600.0
"""It forgets a host so long after the end of its owner's token, if nobody has wanted it since."""


class RegisterAway(CrawlerError):
    """The register does not answer. What was told may have arrived or not."""


class Want(NamedTuple):
    """A host to which a worker has something to send."""

    host: str
    pause_s: float
    """What must pass between two requests to it."""


NOBODY_S = -1.0
"""Stands for the pause of those in line, if there are none."""


class Return(NamedTuple):
    """A host that its owner gives back."""

    host: str
    wait_s: float
    """The seconds before which nobody may send to it."""
    state: str = ""
    """What the next owner should know."""
    keep_s: float = 0.0
    """How long that stays true."""


class Grant(NamedTuple):
    """A host that a worker owns from now on."""

    host: str
    wait_s: float
    """The seconds before which it may not send."""
    state: str = ""
    """What the owner before has told, empty if nothing is known."""
    age_s: float = 0.0
    """How long ago that was."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells the register."""

    wants: Sequence[Want] = ()
    """It stands in line for these. A wish that is repeated keeps its place, and tells the present
    pause."""
    leaves: Sequence[str] = ()
    """It no longer stands in line for these. One that it owns by now is granted once more: the
    answer that told it may have been lost, and the host must go back."""
    holds: Sequence[Want] = ()
    """It owns these, whose pauses have changed, or which the register may have forgotten."""
    returns: Sequence[Return] = ()
    is_last: bool = False
    """Its token ends with this call."""


@dataclass(slots=True)
class Answer:
    """What the register answers."""

    is_valid: bool = True
    """Whether the token lives. If not, the worker owns nothing, and goes on with a new token."""
    has_forgotten: bool = False
    """Whether the register may have lost what it was told. The worker tells again what it owns and
    wants."""
    granted: list[Grant] = field(default_factory=list)
    sought: list[Want] = field(default_factory=list)
    """Hosts of this worker for which the line has changed, with the longest pause that those ask
    for that stand in it and live; `NOBODY_S` if there are none. The last one of a host counts."""

    def add(self, other: Answer) -> None:
        """Take over what another part of the register answers."""
        self.is_valid &= other.is_valid
        self.has_forgotten |= other.has_forgotten
        self.granted += other.granted
        self.sought += other.sought


class HostRegister(Protocol):
    """What all workers share."""

    lease_s: float
    """The seconds that a token lives after its last renewal."""

    def tell(self, token: str, told: Told) -> Answer:
        """Renew a token, and tell what has changed. It may wait. Raises RegisterAway."""
        ...


@dataclass(slots=True)
class _Entry:
    owner: str = ""
    pause_s: float = 0.0
    free_s: float = 0.0
    """The time from which anybody may send to it."""
    state: str = ""
    told_s: float = 0.0
    keep_s: float = 0.0
    line: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """The tokens that want it, in the order in which they asked, with the pause of each."""


class MemoryHostRegister:
    """A register within one process. It forgets a host that nobody has or wants, when its pause is
    over, and what its last owner has told no longer counts."""

    def __init__(self, clock: Clock, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._ends: dict[str, float] = {}
        """The time at which each token ends, or has ended."""
        self._granted: dict[str, dict[str, None]] = {}
        """The hosts that were granted to a token, and of which it does not know yet."""
        self._sought: dict[str, dict[str, None]] = {}
        self._over: set[str] = set()
        """The tokens that nobody will use again."""
        self._sweeps_s = 0.0
        """The time of the next sweep."""

    def __len__(self) -> int:
        """How many hosts and tokens it knows."""
        return len(self._entries) + len(self._ends)

    def end(self, token: str) -> None:
        """End a token that nobody will ever use again."""
        if token in self._ends:
            self._ends[token] = min(self._ends[token], self._clock.monotonic())
            self._over.add(token)

    def _sweep(self, now_s: float) -> None:
        """Forget what no answer depends on."""
        self._sweeps_s = now_s + SWEEP_S
        for host, entry in list(self._entries.items()):
            for token in [token for token in entry.line if self._ends[token] < now_s]:
                del entry.line[token]
            if not entry.line and self._is_past(entry, now_s):
                del self._entries[host]
        used = {entry.owner for entry in self._entries.values()}
        used.update(*(entry.line for entry in self._entries.values()))
        for token in self._over - used:
            for told in (self._ends, self._granted, self._sought):
                told.pop(token, None)
        self._over &= used

    def _is_past(self, entry: _Entry, now_s: float) -> bool:
        """Whether nobody owns a host, and nothing that is known of it counts any more."""
        if entry.owner:  # whoever wants it may have a long pause, and nobody knows when it ended
            return now_s >= self._ends[entry.owner] + max(entry.pause_s, FORGOTTEN_S)
        return now_s >= max(entry.free_s, entry.told_s + entry.keep_s)

    def tell(self, token: str, told: Told) -> Answer:
        """Renew a token, and tell what has changed."""
        now_s = self._clock.monotonic()
        if now_s >= self._sweeps_s:
            self._sweep(now_s)
        if self._ends.setdefault(token, now_s) < now_s:
            return Answer(is_valid=False)
        self._ends[token] = now_s + self.lease_s
        for host, pause_s in told.holds:
            self._hold(token, host, pause_s)
        for returned in told.returns:
            self._take_back(token, returned, now_s)
        for host in told.leaves:
            self._leave(token, host)
        for host, pause_s in told.wants:
            self._want(token, host, pause_s, now_s)
        if told.is_last:
            self._ends[token] = now_s
        granted = [self._grant(host, now_s) for host in self._granted.pop(token, {})]
        sought = [self._seek(host, now_s) for host in self._sought.pop(token, {})]
        return Answer(granted=granted, sought=sought)

    def _hold(self, token: str, host: str, pause_s: float) -> None:
        entry = self._entries.setdefault(host, _Entry())
        if entry.owner in ("", token):
            entry.owner, entry.pause_s = token, pause_s

    def _take_back(self, token: str, returned: Return, now_s: float) -> None:
        entry = self._entries.get(returned.host)
        if entry is None or entry.owner != token:
            return
        entry.owner, entry.free_s = "", now_s + returned.wait_s
        entry.state, entry.told_s, entry.keep_s = returned.state, now_s, returned.keep_s
        self._assign(returned.host, entry, now_s)

    def _leave(self, token: str, host: str) -> None:
        entry = self._entries.get(host)
        if entry is None:
            return
        has_left = entry.line.pop(token, None) is not None
        if has_left and entry.owner:
            self._sought.setdefault(entry.owner, {})[host] = None
        if entry.owner == token:  # the answer that told it was lost
            self._granted.setdefault(token, {})[host] = None

    def _want(self, token: str, host: str, pause_s: float, now_s: float) -> None:
        entry = self._entries.setdefault(host, _Entry(free_s=now_s))
        if entry.owner == token:  # the answer that told it was lost
            self._granted.setdefault(token, {})[host] = None
            return
        entry.line[token] = pause_s
        if entry.owner and self._ends[entry.owner] < now_s:
            longest_s = max(entry.pause_s, self._seek(host, now_s).pause_s)
            entry.free_s = self._ends[entry.owner] + longest_s
            entry.owner, entry.state = "", ""
        if entry.owner:
            self._sought.setdefault(entry.owner, {})[host] = None
        else:
            self._assign(host, entry, now_s)

    def _assign(self, host: str, entry: _Entry, now_s: float) -> None:
        """Give a free host to the first in line whose token lives."""
        while entry.line:
            token, pause_s = entry.line.popitem(last=False)
            if self._ends[token] < now_s:
                continue
            entry.owner, entry.pause_s = token, pause_s
            self._granted.setdefault(token, {})[host] = None
            if entry.line:
                self._sought.setdefault(token, {})[host] = None
            return

    def _seek(self, host: str, now_s: float) -> Want:
        line = self._entries[host].line
        pauses_s = [pause_s for token, pause_s in line.items() if self._ends[token] >= now_s]
        return Want(host, max(pauses_s, default=NOBODY_S))

    def _grant(self, host: str, now_s: float) -> Grant:
        entry = self._entries[host]
        return Grant(host, max(0.0, entry.free_s - now_s), entry.state, now_s - entry.told_s)
