"""The client of a master, with what tests ask of it all the time."""

from __future__ import annotations

from crawler.api.rpc import client
from crawler.api.service import Call
from crawler.model.records import Resource, Spec


class Client(client.Client):
    """A client that adds a task in one word."""

    def add(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Resource:
        """Store a new resource and place it. Return it, new or not."""
        return self.submit(spec, call, wait_for_spider).resource
