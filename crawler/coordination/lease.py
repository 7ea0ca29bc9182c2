"""A node's lease. It is renewed, and the node knows by its own clock when it is over.

The invariant: once `lost` is set, or `remaining_s` is 0, the node must not own anything any more,
and this happens before etcd lets another node own it. The local deadline is the time when the last
renewal was *sent*, plus the time to live, minus a margin in which everything on the node must stop.

If the store allows it, a native thread makes the renewals. So a busy hub does not lose the lease.
The thread renews only while the hub runs, so a hub that hangs does lose it.
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
"""The part of the time to live that is kept for stopping: 1 s of 5 s."""

RENEWALS = 5
"""How many renewals fit into one time to live. With fewer, an etcd that is away for two seconds
between two renewals would cost every lease of 5 s: the remaining time must outlast its absence and
its start."""

RETRY_S = 0.2
"""The pause after a failed renewal, in seconds. The deadline decides when to give up."""

LOOK_S = RETRY_S / 2
"""How often the hub looks at the result of the native thread, in seconds. It sees even a single
failure."""


class Lease:
    """A granted lease. Call `keep` with a supervisor, and `revoke` at the end."""

    def __init__(
        self,
        store: Store,
        lease: int,
        ttl_s: int,
        granted_s: float,
        clock: Clock,
        tell: Callable[[float], None] | None = None,
    ) -> None:
        """`tell` is called with each new deadline until the lease is over, also by a native
        thread."""
        self._store = store
        self._tell = tell
        self._clock = clock
        self.id = lease
        self.ttl_s = ttl_s
        self.lost = Event()
        """Set once, when the lease is over for whatever reason."""
        self._deadline_s = 0.0
        self._set_deadline(granted_s)
        self._alarm = NativeAlarm()
        self._beside = False
        """Whether a native thread makes the renewals, which cannot log or wake greenlets."""
        self._gone = ""
        """etcd's message when it no longer knew the lease. Whoever renews sets it."""
        self._trouble = ""
        """Why the last renewal failed; empty if it succeeded."""
        self._told = False
        self._lowest_s = self.remaining_s
        """The least time that remained since the last call of `take_margin`."""

    @classmethod
    def grant(
        cls,
        store: Store,
        ttl_s: int,
        clock: Clock,
        tell: Callable[[float], None] | None = None,
    ) -> Lease:
        """Request a new lease. Raises Retryable."""
        asked_s = clock.monotonic()
        lease, granted_ttl_s = store.lease_grant(ttl_s)
        return cls(store, lease, granted_ttl_s, asked_s, clock, tell)

    @property
    def remaining_s(self) -> float:
        """Seconds until the node must have stopped, unless the lease is renewed; 0 if it is
        over."""
        if self.lost.is_set() or self._gone:
            return 0.0
        return max(0.0, self._deadline_s - self._clock.monotonic())

    def take_margin(self) -> float:
        """Return the least share of the time to live that remained at any time since the last call.

        A look at `remaining_s` now and then would miss it.
        """
        remaining_s = self.remaining_s
        lowest_s, self._lowest_s = min(self._lowest_s, remaining_s), remaining_s
        return lowest_s / self.ttl_s

    def keep(self, supervisor: Supervisor, hub: HubWatch | None = None) -> None:
        """Renew the lease from now on. Watch the deadline separately, because a renewal may hang.

        With a `hub`, and a store that supports it, the renewals do not depend on that hub.
        """
        renewer = self._store.renewer() if hub is not None else None
        if hub is not None and renewer is not None:
            self._beside = True
            run_beside(lambda: self._renew_beside(renewer, hub))
        else:
            supervisor.spawn("renew", self._renew_until_lost, on_end=OnEnd.RESTART)
        supervisor.spawn("deadline", self._watch_deadline, on_end=OnEnd.RESTART)

    def check(self) -> None:
        """Raise LeaseLost if the lease is over."""
        if self.remaining_s <= 0:
            raise LeaseLost(f"lease {self.id:x} is over by this node's clock")

    def end(self, reason: str) -> None:
        """Stop everything under the lease: the node found that it must not go on, whatever etcd
        says."""
        if not self.lost.is_set():
            log.warning("lease lost, stopping what it covers", lease=f"{self.id:x}", reason=reason)
            self.lost.set()
            self._alarm.ring()

    def revoke(self) -> None:
        """End the lease now, so that others need not wait. Its keys vanish. Raises Retryable."""
        self.lost.set()
        self._alarm.ring()
        self._store.lease_revoke(self.id)

    def _set_deadline(self, sent_s: float) -> None:
        self._deadline_s = self._deadline_after(sent_s)
        if self._tell is not None and not self.lost.is_set():
            self._tell(self._deadline_s)

    def _deadline_after(self, sent_s: float) -> float:
        return sent_s + self.ttl_s * (1.0 - MARGIN)

    def _renew_until_lost(self) -> None:
        pause_s = self.ttl_s / RENEWALS
        while not self._clock.wait(self.lost, pause_s):
            pause_s = self._renew(self._store.lease_keepalive)
            self._look()

    def _renew_beside(self, renewer: Renewer, hub: HubWatch) -> None:
        """Renew in a native thread, which must not use greenlets or logs."""
        try:
            self._alarm.wait(self.ttl_s / RENEWALS)
            while not self.lost.is_set() and not self._gone:
                # A hung hub no longer runs its work, and other nodes must be able to take over.
                self._alarm.wait(RETRY_S if hub.blocked else self._renew_or_tell(renewer))
        finally:
            renewer.close()

    def _renew_or_tell(self, renewer: Renewer) -> float:
        """Renew once, and survive a bug: nobody would see the end of a native thread."""
        try:
            return self._renew(renewer.renew)
        except Exception as error:
            self._trouble = f"unforeseen {type(error).__name__}: {error}"
            return RETRY_S

    def _renew(self, renew: Callable[[int, float], int]) -> float:
        """Renew once. Return the seconds until the next renewal."""
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
            self._set_deadline(sent_s)
            return self.ttl_s / RENEWALS
        return RETRY_S

    def _watch_deadline(self) -> None:
        most_s = LOOK_S if self._beside else float("inf")
        while not self.lost.is_set():
            self._look()
            self._clock.wait(self.lost, min(self.remaining_s, most_s))

    def _look(self) -> None:
        """Act on the results of the renewals, and on the time. Log trouble once until it is
        over."""
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
