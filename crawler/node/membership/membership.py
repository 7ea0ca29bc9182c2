"""Membership: a lease, a registration under it, and the role that lives while both do.

When the lease is lost, the role stops what it covered first; then the node comes back under a new
lease, as another incarnation. This goes on until the node stops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gevent.event import Event
from gevent.lock import RLock

from crawler.clock import Backoff, Clock
from crawler.coordination.keys import Keys
from crawler.coordination.lease import Lease
from crawler.coordination.registry import IdTaken, Registry
from crawler.coordination.store import Store
from crawler.errors import CrawlerError, LeaseLost, Retryable
from crawler.hub import HubWatch
from crawler.logs import get_logger
from crawler.model.records import Node
from crawler.node.membership.names import NodeNames
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)


AGAIN_S = 0.5
"""Pause before joining again after a session that ended soon."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a node holds while it is a member."""

    name: str
    """The node's name within its role: the `2` of master 2."""
    node: Node
    lease: Lease
    supervisor: Supervisor
    """For greenlets that must end with the lease."""


class Role(Protocol):
    """What a node does while it is a member."""

    def describe(self, node_id: str, address: str) -> Node:
        """The registration of this process under that id. `address` is host:port of its gRPC
        server, as others reach it."""
        ...

    def join(self, session: Session) -> None:
        """The node is registered: begin. Returns soon."""
        ...

    def drain(self, patience_s: float) -> None:
        """The node is about to leave: take on nothing new, and bring what is under way to an end,
        in that time."""
        ...

    def hurry(self) -> None:
        """Cut short what `drain` waits for."""
        ...

    def leave(self) -> None:
        """Stop now whatever the lease covered; returns when it has stopped."""
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
    ) -> None:
        """With a `hub` the lease is renewed past it, while it turns (see `Lease.keep`)."""
        self._store = store
        self._keys = keys
        self._role_name = role_name
        self._ttl_s = ttl_s
        self._names = names
        self._clock = clock
        self._hub = hub
        self._registry = Registry(store, keys, role_name)
        self._unrevoked: list[Lease] = []
        """Leases that were to end while etcd did not answer; their keys may still be there."""
        self._leaving = False
        self._leave_once = RLock()
        self.session: Session | None = None
        """The present one; None while the node is not a member."""

    def remaining_s(self) -> float:
        """What is left of the lease, in seconds; 0 while the node is no member."""
        session = self.session
        return session.lease.remaining_s if session is not None else 0.0

    def take_margin(self) -> float:
        """The least share of the lease's time that was left since the last call; 0: no member."""
        session = self.session
        return session.lease.take_margin() if session is not None else 0.0

    def run(self, role: Role, address: str) -> None:
        """Join, and join anew whenever the lease is lost, until `drain`; never returns."""
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
                self._clock.sleep(AGAIN_S)  # whatever ended it so soon may do so again
        self._clock.wait(Event())  # whoever drains it ends it

    def drain(self, role: Role, patience_s: float) -> None:
        """Leave in order: say so, bring what is under way to a safe point; `leave` comes next."""
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
        """Stop the role, then give up registration and lease; harmless when there is no session.

        Whoever is interrupted in it leaves the session to the next, so that nothing is left out.
        """
        with self._leave_once:
            session = self.session
            if session is None:
                return
            try:
                role.leave()
            except Exception:  # the others must not wait for this node all the same
                log.error("the role did not stop in order", exc_info=True)
            session.supervisor.stop()
            if self._revoke(session.lease):
                log.info("deregistered", node=session.node.id)
            self.session = None

    def _pulse(self, session: Session) -> None:
        """Read now and then whether etcd still has this incarnation; the lease alone may not tell:
        a registration may be deleted by hand, or declared dead while this process stood still."""
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

    def _join(self, role: Role, address: str) -> Session:
        """Try until it succeeds. Raises ConfigError when the id given stays taken."""
        backoff = Backoff()
        while True:
            try:
                self._revoke_left_over()
                lease = Lease.grant(self._store, self._ttl_s, self._clock)
            except Retryable as error:
                note = log.debug if backoff.attempts else log.warning
                note("cannot register, trying again", error=str(error))
                self._clock.sleep(backoff.next_s())
                continue
            session = self._attempt(lease, role, address)
            if session is not None:
                return session
            self._clock.sleep(backoff.next_s())

    def _attempt(self, lease: Lease, role: Role, address: str) -> Session | None:
        """Register under the lease; unless that succeeds the lease is given up, come what may."""
        supervisor = Supervisor(
            f"{self._role_name} session", on_fatal=partial(_end_with, lease), clock=self._clock
        )
        lease.keep(supervisor, self._hub)
        session = None
        try:
            session = self._register(lease, supervisor, partial(role.describe, address=address))
            return session
        finally:
            if session is None:
                supervisor.stop()
                self._revoke(lease)

    def _register(
        self, lease: Lease, supervisor: Supervisor, describe: Callable[[str], Node]
    ) -> Session | None:
        """Raises ConfigError when the id given stays taken."""
        name = ""
        try:
            name = self._names.choose(self._registry.names())
            described = describe(self._keys.node_id(self._role_name, name))
            node = self._registry.register(described, lease)
        except IdTaken as error:
            note = log.debug if self._names.waiting else log.warning
            note("the id is taken; waiting until its lease ends", error=str(error))
            self._names.refused(name, str(error))
        except (Retryable, LeaseLost) as error:
            log.warning("cannot register, trying again", error=str(error))
        else:
            self._names.keep(name)
            return Session(name, node, lease, supervisor)
        return None

    def _revoke(self, lease: Lease) -> bool:
        try:
            lease.revoke()
        except CrawlerError as error:
            self._unrevoked.append(lease)
            log.warning("lease not revoked; the others wait until it expires", error=str(error))
            return False
        return True

    def _revoke_left_over(self) -> None:
        """A restarted etcd gives every lease its full time anew: our own would bar us for so long.

        Raises Retryable.
        """
        while self._unrevoked:
            self._unrevoked[-1].revoke()
            self._unrevoked.pop()


def _end_with(lease: Lease, greenlet: str, error: BaseException | None) -> None:
    """A part of a session that must not end has ended: a member without it is none."""
    lease.end(f"{greenlet} ended: {error or 'nobody knows why'}")
