"""Membership: a lease, a registration under it, and the role that runs while both live.

When the lease is lost, the role first stops what the lease covered. Then the node returns under a
new lease, as another incarnation. This goes on until the node stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gevent.event import Event
from gevent.lock import RLock

import crawler
from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.lease import Lease
from crawler.coordination.registry import IdTaken, Registry
from crawler.coordination.store import Store
from crawler.errors import CrawlerError, LeaseLost, Retryable
from crawler.hub import HubWatch
from crawler.logs import get_logger
from crawler.model.records import CODE, Node
from crawler.node.guard.guard import Guard, NoGuard
from crawler.node.guard.page import NO_LEASE
from crawler.node.membership.names import NodeNames
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)


AGAIN_S = 0.5
"""The pause before joining again after a short session, in seconds."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a node has while it is a member."""

    name: str
    """The node's name within its role: the `2` of master 2."""
    node: Node
    lease: Lease
    supervisor: Supervisor
    """For greenlets that must end with the lease."""


class Role(Protocol):
    """What a node does while it is a member."""

    def describe(self, node_id: str, address: str) -> Node:
        """Return the registration of this process under that id. `address` is the host:port at
        which others reach its gRPC server."""
        ...

    def join(self, session: Session) -> None:
        """Begin: the node is registered. Returns soon."""
        ...

    def drain(self, patience_s: float) -> None:
        """Prepare to leave: take on nothing new, and finish the work in progress within
        `patience_s` seconds."""
        ...

    def hurry(self) -> None:
        """Cut short what `drain` waits for."""
        ...

    def leave(self) -> None:
        """Stop now whatever the lease covered. Returns when it has stopped."""
        ...


class Membership:
    """Keeps this process registered until it is stopped."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        role_name: str,
        ttl_s: int,
        names: NodeNames,
        clock: Clock,
        hub: HubWatch | None = None,
        guard: Guard | None = None,
    ) -> None:
        """With a `hub` the lease is renewed independently of it, while it runs (see
        `Lease.keep`). The `guard` is told of each lease."""
        self._store = store
        self._keys = keys
        self._role_name = role_name
        self._ttl_s = ttl_s
        self._names = names
        self._clock = clock
        self._hub = hub
        self._guard = guard or NoGuard()
        self._registry = Registry(store, keys, role_name)
        self._unrevoked: list[Lease] = []
        """Leases that were revoked while etcd did not answer. Their keys may still exist."""
        self._leaving = False
        self._leave_once = RLock()
        self.session: Session | None = None
        """The present session; None while the node is not a member."""

    def remaining_s(self) -> float:
        """Return the seconds that are left of the lease; 0 while the node is not a member."""
        session = self.session
        return session.lease.remaining_s if session is not None else 0.0

    def take_margin(self) -> float:
        """Return the least share of the lease's time that was left since the last call; 0 while the
        node is not a member."""
        session = self.session
        return session.lease.take_margin() if session is not None else 0.0

    def run(self, role: Role, address: Callable[[], str]) -> None:
        """Join, and join again whenever the lease is lost, until `drain`. Never returns.

        Each time `address` returns the host:port at which others reach this process: it may have
        changed meanwhile.
        """
        while not self._leaving:
            joined_s = self._clock.monotonic()
            session = self._join(role, address)
            self.session = session
            log.info(
                "registered",
                node=session.node.id,
                address=session.node.address,
                incarnation=session.node.incarnation,
            )
            session.supervisor.spawn("pulse", self._pulse, session, on_end=OnEnd.RESTART)
            role.join(session)
            self._clock.wait(session.lease.lost)
            self.leave(role)
            if self._clock.monotonic() - joined_s < self._ttl_s:
                self._clock.sleep(AGAIN_S)  # the same cause may end the next session as soon
        self._clock.wait(Event())  # the greenlet that drains also ends this one

    def drain(self, role: Role, patience_s: float) -> None:
        """Leave in order: announce it, and bring the work to a safe point. Call `leave` next."""
        self._leaving = True
        session = self.session
        if session is None:
            return
        try:
            self._registry.announce_draining(session.node, session.lease)
        except CrawlerError as error:
            log.warning("cannot announce that the node leaves", error=str(error))
        role.drain(patience_s)

    def leave(self, role: Role) -> None:
        """Stop the role, then give up registration and lease. Does nothing without a session.

        If a caller is interrupted here, the next caller finishes, so that no step is left out.
        """
        with self._leave_once:
            session = self.session
            if session is None:
                return
            try:
                role.leave()
            except Exception:  # the other nodes must not wait for this one all the same
                log.error("the role did not stop in order", exc_info=True)
            else:
                self._guard.deadline(NO_LEASE)  # nothing is left that must end by then
            session.supervisor.stop()
            if self._revoke(session.lease):
                log.info("deregistered", node=session.node.id)
            self.session = None

    def _pulse(self, session: Session) -> None:
        """Check at intervals whether etcd still has this incarnation. The lease alone does not show
        it: somebody may delete a registration by hand, or declare this node dead while its process
        was paused."""
        while not self._clock.wait(session.lease.lost, self._ttl_s / 3):
            try:
                objection = self._registry.objection(session.node)
            except Retryable as error:
                log.debug("cannot read the own registration", error=str(error))
                continue
            except CrawlerError as error:
                objection = f"etcd refuses to show its registration: {error}"
            if objection:
                session.lease.end(objection)

    def _join(self, role: Role, address: Callable[[], str]) -> Session:
        """Try until it succeeds. Raises ConfigError if the configured id stays taken."""
        backoff = Backoff()
        while True:
            try:
                self._revoke_left_over()
                lease = Lease.grant(self._store, self._ttl_s, self._clock, self._guard.deadline)
            except Retryable as error:
                note = log.debug if backoff.attempts else log.warning
                note("cannot register; trying again", error=str(error))
                self._clock.sleep(backoff.next_s())
                continue
            session = self._attempt(lease, role, address)
            if session is not None:
                return session
            self._clock.sleep(backoff.next_s())

    def _attempt(self, lease: Lease, role: Role, address: Callable[[], str]) -> Session | None:
        """Register under the lease. If that fails for any reason, give up the lease."""
        supervisor = Supervisor(
            f"{self._role_name} session", on_fatal=partial(_end_with, lease), clock=self._clock
        )
        lease.keep(supervisor, self._hub)
        self._guard.hold(lease.id, lease.ttl_s)
        session = None
        try:
            session = self._register(lease, supervisor, partial(role.describe, address=address()))
            return session
        finally:
            if session is None:
                supervisor.stop()
                self._revoke(lease)

    def _register(
        self, lease: Lease, supervisor: Supervisor, describe: Callable[[str], Node]
    ) -> Session | None:
        """Register under a chosen name, or return None. Raises ConfigError if the configured id
        stays taken."""
        name = ""
        try:
            name = self._names.choose(self._registry.names())
            described = describe(self._keys.node_id(self._role_name, name))
            told = {**described.metadata, CODE: crawler.__version__}
            node = self._registry.register(replace(described, metadata=told), lease)
        except IdTaken as error:
            note = log.debug if self._names.waiting else log.warning
            note("the id is taken; waiting until its lease ends", error=str(error))
            self._names.refused(name, str(error))
        except (Retryable, LeaseLost) as error:
            log.warning("cannot register; trying again", error=str(error))
        else:
            self._names.keep(name)
            return Session(name, node, lease, supervisor)
        return None

    def _revoke(self, lease: Lease) -> bool:
        try:
            lease.revoke()
        except CrawlerError as error:
            self._unrevoked.append(lease)
            log.warning("lease not revoked; other nodes wait until it expires", error=str(error))
            return False
        finally:
            self._guard.release()
        return True

    def _revoke_left_over(self) -> None:
        """Revoke the leases that could not be revoked before. A restarted etcd gives every lease
        its full time again, and this node's own old lease would block it for so long.

        Raises Retryable.
        """
        while self._unrevoked:
            self._unrevoked[-1].revoke()
            self._unrevoked.pop()


def _end_with(lease: Lease, greenlet: str, error: BaseException | None) -> None:
    """End a session because one of its necessary greenlets has ended: a node without it is no
    member."""
    lease.end(f"{greenlet} ended: {error or 'the reason is unknown'}")
