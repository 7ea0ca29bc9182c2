"""A node's lease: kept alive, and known to be over by the node's own clock.

The invariant: once `lost` is set, or `remaining_s` is 0, the node may own nothing any more, and
this is so before etcd lets anyone else own it. The local deadline is the time the last renewal was
*sent*, plus the time to live, less a margin in which whatever the node runs must stop.
"""

from __future__ import annotations

from gevent.event import Event

from crawler.clock import Clock
from crawler.coordination.store import Store
from crawler.errors import LeaseLost, Retryable
from crawler.logs import get_logger
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

MARGIN = 0.2
"""Part of the time to live that is kept for stopping: of 5 s, 1 s."""

RETRY_S = 0.2
"""Pause after a renewal that failed; the deadline decides when to give up."""


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

    @classmethod
    def grant(cls, store: Store, ttl_s: int, clock: Clock) -> Lease:
        """Ask for a new lease. Raises Retryable."""
        asked_s = clock.monotonic()
        lease, granted_ttl_s = store.lease_grant(ttl_s)
        return cls(store, lease, granted_ttl_s, asked_s, clock)

    @property
    def remaining_s(self) -> float:
        """Seconds until the node must have stopped, without another renewal; 0 when it is over."""
        if self.lost.is_set():
            return 0.0
        return max(0.0, self._deadline_s - self._clock.monotonic())

    def keep(self, supervisor: Supervisor) -> None:
        """Renew it from now on, and watch the deadline apart from the renewals, which may hang."""
        supervisor.spawn("renew", self._renew_until_lost, on_end=OnEnd.RESTART)
        supervisor.spawn("deadline", self._watch_deadline, on_end=OnEnd.RESTART)

    def check(self) -> None:
        """Raises LeaseLost when it is over."""
        if self.remaining_s <= 0:
            raise LeaseLost(f"lease {self.id:x} is over by this node's clock")

    def revoke(self) -> None:
        """End it now, so that others need not wait; keys under it vanish. Raises Retryable."""
        self.lost.set()
        self._store.lease_revoke(self.id)

    def _deadline_after(self, sent_s: float) -> float:
        return sent_s + self.ttl_s * (1.0 - MARGIN)

    def _renew_until_lost(self) -> None:
        while not self._clock.wait(self.lost, self.ttl_s / 3):
            self._renew()

    def _renew(self) -> None:
        """Renew once, however many attempts it takes."""
        note = log.warning
        while not self.lost.is_set():
            sent_s = self._clock.monotonic()
            try:
                self._store.lease_keepalive(self.id, timeout_s=max(0.5, self.ttl_s / 4))
            except LeaseLost as error:
                self._end(str(error))
            except Retryable as error:
                note(
                    "lease not renewed, trying again",
                    lease=f"{self.id:x}",
                    left_s=round(self.remaining_s, 2),
                    error=str(error),
                )
                note = log.debug  # once is enough until it is over, or renewed
                self._clock.wait(self.lost, RETRY_S)
            else:
                self._deadline_s = self._deadline_after(sent_s)
                return

    def _watch_deadline(self) -> None:
        while not self.lost.is_set():
            left_s = self.remaining_s
            if left_s <= 0:
                self._end("no renewal was answered in time")
            self._clock.wait(self.lost, left_s)

    def _end(self, reason: str) -> None:
        if not self.lost.is_set():
            log.warning("lease lost, stopping what it covers", lease=f"{self.id:x}", reason=reason)
            self.lost.set()
