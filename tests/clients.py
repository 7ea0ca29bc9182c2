"""The client of a master, with what tests ask of it all the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from crawler.api.backend import Call
from crawler.api.rpc import client
from crawler.model.records import Report, Resource, Spec


class Client(client.Client):
    """A client that adds a task in one word, and reports as a worker does."""

    def __init__(self, address: str, *, secret: Callable[[], str] = str, **more: Any) -> None:
        """`secret` returns the one by which nodes know each other."""
        super().__init__(address, **more)
        self._secret = secret

    def add(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Resource:
        """Store a new resource and place it. Return it, new or not."""
        return self.submit(spec, call, wait_for_spider).resource

    def report(
        self, node_id: str, reports: Sequence[Report], call: Call, *load: Any, **more: Any
    ) -> Sequence[str]:
        """Report runs, with the secret of a node."""
        own, self._token = self._token, self._secret
        try:
            return super().report(node_id, reports, call, *load, **more)
        finally:
            self._token = own
