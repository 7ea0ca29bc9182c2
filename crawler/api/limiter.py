"""The rate limiter: one rate of requests per client address, for HTTP and gRPC together.

It protects a master from a client that sends too much by mistake, not from an attacker: it believes
a request that claims to come from another master. The algorithm (GCRA) and its table, which forgets
the addresses that were seen longest ago, are throttled-py's. docs/decisions/0007-overload.md
explains the choice.
"""

from __future__ import annotations

from urllib.parse import unquote

from throttled import RateLimiterType, Throttled, rate_limiter, store

from crawler.api.addresses import plain
from crawler.errors import Overloaded
from crawler.metrics import Metrics
from crawler.settings.sections import ApiSettings

MAX_CLIENTS = 10_000
"""How many addresses are remembered. A forgotten address starts again with its whole burst."""


class RateLimiter:
    """Limits the requests of each client of one master."""

    def __init__(self, settings: ApiSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._table = store.MemoryStore(options={"MAX_SIZE": MAX_CLIENTS})
        self._throttle = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=rate_limiter.per_sec(max(1, settings.rate), burst=settings.burst),
            store=self._table,
        )
        self._refused = metrics.counter(
            "crawler_rate_refused",
            "Requests refused because their client made too many, by transport.",
            "transport",
        )

    def admit(self, transport: str, client: str) -> None:
        """Count a request of the client at that address. Raises Overloaded if it exceeds the rate.

        `transport` is `http` or `grpc`, for /metrics.
        """
        client = plain(client)
        if not self._settings.rate or not self._throttle.limit(client).limited:
            return
        self._refused.labels(transport).inc()
        raise Overloaded(
            f"too many requests from {client or 'this client'}: {self._settings.rate} per second "
            "are allowed, by this server's setting api.rate; send fewer, or try again in a second"
        )


def address_of(peer: str) -> str:
    """Return the address of a client, without its port, from gRPC's name of its peer.

    `ipv4:10.0.0.1:5000` is 10.0.0.1, `ipv6:%5B::1%5D:5000` is ::1, as HTTP writes them.
    """
    family, _, place = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return peer
    return unquote(place).rpartition(":")[0].strip("[]")
