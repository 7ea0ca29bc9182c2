"""A node's lease: kept alive, and known to be over by the node's own clock.

The invariant: once `lost` is set, or `remaining_s` is 0, the node may own nothing any more, and
this is so before etcd lets anyone else own it. The local deadline is the time the last renewal was
*sent*, plus the time to live, less a margin in which whatever the node runs must stop.

Renewals come from a native thread where the store has one for it, so that a hub with much to do
does not lose the lease; but only while the hub turns, so that a hub that hangs does lose it.
"""

from __future__ import annotations

from collections.abc import Callable

from gevent.event import Event

from crawler.clock import Clock
from crawler.coordination.store import Renewer, Store
from crawler.errors import LeaseLost, Retryable
from crawler.hub import HubWatch, NativeAlarm, run_beside
from crawler.logs import get_logger
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

MARGIN = 0.2
"""Part of the time to live that is kept for stopping: of 5 s, 1 s."""

RENEWALS = 5
"""Renewals within one time to live. With fewer, an etcd that is away for two seconds between two of
them would cost every lease of 5 s: what is left must outlast its absence and its start."""

RETRY_S = 0.2
"""Pause after a renewal that failed; the deadline decides when to give up."""

LOOK_S = RETRY_S / 2
"""How often the hub looks at what the native thread found: a single failure is seen."""


class Lease:
    """A granted lease; `keep` it in a supervisor, and `revoke` it at the end."""

    def __init__(
        self, store: Store, lease: int, ttl_s: int, granted_s: float, clock: Clock
    ) -> None:
        self._store = store
        self._clock = clock
        self.id = lease
        self.ttl_s = ttl_s
        self.lost = Event()
        """Set once, when the lease is over for whatever reason."""
        self._deadline_s = self._deadline_after(granted_s)
        self._alarm = NativeAlarm()
        self._beside = False
        """Whether the renewals come from a native thread, which can tell nobody what it found."""
        self._gone = ""
        """What etcd said when it knew the lease no more; set by whoever renews."""
        self._trouble = ""
        """Why the last renewal failed; empty when it did not."""
        self._told = False
        self._lowest_s = self.remaining_s
        """The least that remained since somebody last looked."""

    @classmethod
    def grant(cls, store: Store, ttl_s: int, clock: Clock) -> Lease:
        """Ask for a new lease. Raises Retryable."""
        asked_s = clock.monotonic()
        lease, granted_ttl_s = store.lease_grant(ttl_s)
        return cls(store, lease, granted_ttl_s, asked_s, clock)

    @property
    def remaining_s(self) -> float:
        """Seconds until the node must have stopped, without another renewal; 0 when it is over."""
        if self.lost.is_set() or self._gone:
            return 0.0
        return max(0.0, self._deadline_s - self._clock.monotonic())

    def take_margin(self) -> float:
        """The least share of the time to live that remained at any time since the last call.

        Looking at `remaining_s` now and then would miss it.
        """
        remaining_s = self.remaining_s
        lowest_s, self._lowest_s = min(self._lowest_s, remaining_s), remaining_s
        return lowest_s / self.ttl_s

    def keep(self, supervisor: Supervisor, hub: HubWatch | None = None) -> None:
        """Renew it from now on, and watch the deadline apart from the renewals, which may hang.

        With a `hub` to watch, and a store that can, the renewals do not depend on that hub.
        """
        renewer = self._store.renewer() if hub is not None else None
        if hub is not None and renewer is not None:
            self._beside = True
            run_beside(lambda: self._renew_beside(renewer, hub))
        else:
            supervisor.spawn("renew", self._renew_until_lost, on_end=OnEnd.RESTART)
        supervisor.spawn("deadline", self._watch_deadline, on_end=OnEnd.RESTART)

    def check(self) -> None:
        """Raises LeaseLost when it is over."""
        if self.remaining_s <= 0:
            raise LeaseLost(f"lease {self.id:x} is over by this node's clock")

    def end(self, reason: str) -> None:
        """The node found that it must not go on, whatever the lease says: stop what it covers."""
        if not self.lost.is_set():
            log.warning("lease lost, stopping what it covers", lease=f"{self.id:x}", reason=reason)
            self.lost.set()
            self._alarm.ring()

    def revoke(self) -> None:
        """End it now, so that others need not wait; keys under it vanish. Raises Retryable."""
        self.lost.set()
        self._alarm.ring()
        self._store.lease_revoke(self.id)

    def _deadline_after(self, sent_s: float) -> float:
        return sent_s + self.ttl_s * (1.0 - MARGIN)

    def _renew_until_lost(self) -> None:
        pause_s = self.ttl_s / RENEWALS
        while not self._clock.wait(self.lost, pause_s):
            pause_s = self._renew(self._store.lease_keepalive)
            self._look()

    def _renew_beside(self, renewer: Renewer, hub: HubWatch) -> None:
        """The same in a native thread: no greenlets, no logs."""
        try:
            self._alarm.wait(self.ttl_s / RENEWALS)
            while not self.lost.is_set() and not self._gone:
                # A hub that hangs runs its work no more, and others must be able to take over.
                self._alarm.wait(RETRY_S if hub.blocked else self._renew_or_tell(renewer))
        finally:
            renewer.close()

    def _renew_or_tell(self, renewer: Renewer) -> float:
        """Renew once, and outlast a defect: nobody sees how a native thread ends."""
        try:
            return self._renew(renewer.renew)
        except Exception as error:
            self._trouble = f"unforeseen {type(error).__name__}: {error}"
            return RETRY_S

    def _renew(self, renew: Callable[[int, float], int]) -> float:
        """Renew once; the pause until the next time, in seconds."""
        sent_s = self._clock.monotonic()
        try:
            renew(self.id, max(0.5, self.ttl_s / 4))
        except LeaseLost as error:
            self._gone = str(error)
        except Retryable as error:
            self._trouble = str(error)
        else:
            self._trouble = ""
            self._lowest_s = min(self._lowest_s, self.remaining_s)
            self._deadline_s = self._deadline_after(sent_s)
            return self.ttl_s / RENEWALS
        return RETRY_S

    def _watch_deadline(self) -> None:
        most_s = LOOK_S if self._beside else float("inf")
        while not self.lost.is_set():
            self._look()
            self._clock.wait(self.lost, min(self.remaining_s, most_s))

    def _look(self) -> None:
        """Act on what renewals found, and on the time; trouble is told once until it is over."""
        if self._trouble and not self._told:
            log.warning(
                "lease not renewed, trying again",
                lease=f"{self.id:x}",
                left_s=round(self.remaining_s, 2),
                error=self._trouble,
            )
        self._told = bool(self._trouble)
        if self.remaining_s <= 0:
            self.end(self._gone or "no renewal was answered in time")
