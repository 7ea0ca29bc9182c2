"""The places of a gRPC server: how many calls of one kind may be there at once, and of one client.

Each kind has places of its own. Idle streams of strangers therefore never take the places of the
workers' reports, or of what other masters forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.api.places import Places
from crawler.api.rpc.metadata import FORWARDED
from crawler.metrics import Metrics

API = ("/CrawlerMaster/", "/CrawlerWorker/")
REPORTS = "/CrawlerMaster/ReportRuns"
STREAMS = ("/CrawlerMaster/ReadLogs", "/CrawlerMaster/ReadItemFile")
CHECK = "/grpc.health.v1.Health/Check"

ARRIVING = 4
"""How many times as many calls of a kind may be there whose message has not arrived yet."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The places of one kind of calls."""

    arriving: Places
    """While a call's message has not arrived. Whoever sends none keeps nobody else out."""
    running: Places


class Kinds:
    """All places of a server, by kind."""

    def __init__(self, metrics: Metrics, max_calls: int) -> None:
        """`max_calls` is the number of places for clients. One client may have all of them,
        because its rate is limited."""

        def kind(what: str, most: int, most_of_client: int) -> Kind:
            arriving = Places(f"{what} without a message", ARRIVING * most, most)
            return Kind(arriving, Places(what, most, most_of_client, metrics))

        self.calls = kind("grpc calls", max_calls, max_calls)
        self.forwarded = kind("grpc calls forwarded", 256, 128)
        """Another master sends up to 64 at once; several may have one address."""
        self.reports = kind("grpc reports", 128, 64)
        """Each worker sends one at once; many may have one address."""
        self.checks = kind("grpc checks", 64, 16)
        self.streams = kind("grpc streams", 64, 16)
        """Watches of the health, reflection, logs, items. They stay as long as the client wants."""

    @property
    def total(self) -> int:
        """How many calls may be there at once, of all kinds together."""
        kinds = (self.calls, self.forwarded, self.reports, self.checks, self.streams)
        return sum(kind.arriving.most + kind.running.most for kind in kinds)

    def of(self, method: str, metadata: Sequence[tuple[str, str | bytes]]) -> Kind:
        """Return the kind of a call."""
        if method == REPORTS:
            return self.reports
        if method == CHECK:
            return self.checks
        if method in STREAMS or not method.startswith(API):
            return self.streams
        return self.forwarded if is_forwarded(metadata) else self.calls


def is_forwarded(metadata: Sequence[tuple[str, str | bytes]]) -> bool:
    """Whether another master sent the call, which has counted it by the address of its client."""
    return any(key == FORWARDED for key, _ in metadata)
