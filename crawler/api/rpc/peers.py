"""A node's clients of the leader, one for each address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from crawler.api.rpc.bulkhead import FULL, MAX_IN_FLIGHT, OPEN, Bulkhead
from crawler.api.rpc.client import Client
from crawler.api.rpc.tls import no_tls
from crawler.clock import SystemClock

if TYPE_CHECKING:
    from prometheus_client import Counter

    from crawler.metrics import Metrics
    from crawler.settings.tls_files import Pem
    from crawler.tracing.tracing import Tracing

MAX_PEERS = 8
"""How many channels stay open; there are not that many masters."""


class Peers:
    """A node's clients of the leader: one channel per address, the most recent ones kept.

    A follower `forwards`. A worker does not, so a master may forward its calls once. Each address
    has its own bulkhead, so that calls to a new leader do not depend on the old one.
    """

    def __init__(
        self,
        *,
        forwards: bool = True,
        token: Callable[[], str] = str,
        pem: Callable[[], Pem | None] = no_tls,
        tracing: Tracing | None = None,
    ) -> None:
        """`token` returns the secret by which nodes know each other. `pem` returns what TLS needs,
        as it is now. `tracing` makes a span of each call that belongs to one."""
        self._forwards = forwards
        self._token = token
        self._pem = pem
        self._tracing = tracing
        self._clients: OrderedDict[str, Client] = OrderedDict()
        self._refused: dict[str, Counter] = {}

    def measure(self, metrics: Metrics) -> None:
        """Export the calls in flight to the leader, and whether it answers."""
        metrics.queue(
            "calls to the leader", MAX_IN_FLIGHT, lambda: self._of_latest(lambda g: g.in_flight)
        )
        self._refused[FULL] = metrics.refusals("calls to the leader")
        self._refused[OPEN] = metrics.counter(
            "crawler_breaker_refused",
            "Requests refused at once because the leader does not answer.",
        )
        metrics.gauge_of(
            "crawler_breaker_state",
            "Circuit breaker on the way to the leader: 0 closed, 1 half open, 2 open.",
            lambda: self._of_latest(lambda g: g.breaker.state.value),
        )

    def backend(self, address: str) -> Client:
        """Return the client of the master at that address."""
        if address not in self._clients:
            before = "nobody leads: " if self._forwards else ""
            gate = Bulkhead(address, SystemClock(), self._count, before)
            self._clients[address] = Client(
                address,
                forwards=self._forwards,
                gate=gate,
                token=self._token,
                pem=self._pem,
                tracing=self._tracing,
            )
        self._clients.move_to_end(address)
        if len(self._clients) > MAX_PEERS:
            self._clients.popitem(last=False)[1].close()
        return self._clients[address]

    def trouble(self, address: str) -> str:
        """Return why the connection to that master failed a moment ago; empty if it did not."""
        client = self._clients.get(address)
        return client.trouble if client is not None else ""

    def close(self) -> None:
        """Close every channel."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _count(self, reason: str) -> None:
        if reason in self._refused:
            self._refused[reason].inc()

    def _of_latest(self, read: Callable[[Bulkhead], int]) -> int:
        """Read a figure of the leader that was asked last; 0 if none was."""
        return read(next(reversed(self._clients.values())).gate) if self._clients else 0
