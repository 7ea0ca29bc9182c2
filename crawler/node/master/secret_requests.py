"""Carries out requests about secrets of tasks for one term: set, list and delete them."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.api.backend import Call
from crawler.clock import Clock
from crawler.coordination.secrets import Secrets
from crawler.model.records import Leadership
from crawler.model.secrets import Secret, SecretWish


class SecretRequests:
    """Stores and removes secrets, in the greenlet of the request."""

    def __init__(self, leadership: Leadership, secrets: Secrets, clock: Clock) -> None:
        self._leadership = leadership
        self._secrets = secrets
        self._clock = clock

    def put(self, wish: SecretWish, call: Call) -> Secret:
        """Store a secret, or another value of it. Raises NoKey, Conflict, LeadershipLost,
        Retryable."""
        by = call.caller.name if call.caller else ""
        return self._secrets.put(self._leadership, wish, self._clock.time_ns(), by)

    def all(self) -> Sequence[Secret]:
        """Return all secrets without their values, by name. Raises Retryable."""
        return self._secrets.all()

    def remove(self, name: str) -> Secret:
        """Remove a secret, and return it. Raises NotFound, Conflict, LeadershipLost, Retryable."""
        return self._secrets.remove(self._leadership, name)
