"""Places: how many things of one kind may be under way at once, in all and of one client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from crawler.errors import Overloaded
from crawler.metrics import Metrics


class Places:
    """A number of places, of which one client may have only a part."""

    def __init__(
        self, what: str, most: int, most_of_client: int, metrics: Metrics | None = None
    ) -> None:
        """`what` names the calls, for people and in the metrics, if they are exported."""
        self.most = most
        """How many places there are."""
        self._what = what
        self._most_of_client = most_of_client
        self._taken: Counter[str] = Counter()
        self._under_way = 0
        self._on_refused: Callable[[], None] = lambda: None
        if metrics is not None:
            metrics.queue(what, most, lambda: self._under_way)
            self._on_refused = metrics.refusals(what).inc

    def take(self, client: str) -> Callable[[], None]:
        """Take a place. Return what gives it back. Raises Overloaded if none is left."""
        if self._under_way >= self.most:
            raise self._full(self.most, "this server takes")
        if self._taken.get(client, 0) >= self._most_of_client:
            raise self._full(self._most_of_client, f"{client or 'one client'} may have")
        self._under_way += 1
        self._taken[client] += 1
        return lambda: self._give_back(client)

    def _full(self, most: int, who: str) -> Overloaded:
        self._on_refused()
        what = self._what.replace("grpc", "gRPC")
        return Overloaded(
            f"{most} {what} are in flight, the most that {who}; try again in a second"
        )

    def _give_back(self, client: str) -> None:
        self._under_way -= 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
