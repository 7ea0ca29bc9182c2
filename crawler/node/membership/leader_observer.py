"""Observes who leads, and connects to that leader."""

from __future__ import annotations

from collections.abc import Callable

from crawler.api.backend import Backend
from crawler.api.rpc.peers import Peers
from crawler.coordination.election import Election, parse_leader
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.model.records import Leader
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)


class LeaderObserver:
    """Follows the election."""

    def __init__(
        self,
        election: Election,
        masters: Callable[[], dict[str, str]],
        on_change: Callable[[Leader | None], None],
        *,
        peers: Peers,
    ) -> None:
        """`peers` are this node's clients of the leader."""
        self._election = election
        self._masters = masters
        self._on_change = on_change
        self._value: str | None = None
        self._peers = peers

    @property
    def leader(self) -> Leader | None:
        """The leader that was seen last, None while nobody leads. Its address is looked up at each
        call, because a master may become known later."""
        return None if self._value is None else parse_leader(self._value, self._masters())

    def start(self, supervisor: Supervisor) -> None:
        """Observe until the supervisor stops."""
        supervisor.spawn("observe", self._election.observe, self._take, on_end=OnEnd.RESTART)

    def backend(self, leader: Leader) -> Backend:
        """Return a client of that leader."""
        return self._peers.backend(leader.address)

    def trouble(self, leader: Leader) -> str:
        """Return why a request to that leader failed a moment ago; empty if none did."""
        return self._peers.trouble(leader.address)

    def measure(self, metrics: Metrics) -> None:
        """Export the state of the connection to the leader."""
        self._peers.measure(metrics)

    def close(self) -> None:
        """Close the connections."""
        self._peers.close()

    def _take(self, value: str | None) -> None:
        if value == self._value:
            return
        self._value = value
        log.info("leader observed" if value else "nobody leads", leader=value or "")
        self._on_change(self.leader)
