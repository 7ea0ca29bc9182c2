"""Whether the node is ready, for gRPC health checks and /readyz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grpc_health.v1 import health, health_pb2

OVERALL = ""
"""The name under which gRPC asks for the health of the whole server."""

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """The readiness of a node. It begins as not ready."""

    def __init__(self, *services: str) -> None:
        self._services: Sequence[str] = (OVERALL, *services)
        # The servicer's default needs a second thread pool and one callback per watcher, which no
        # interceptor can wrap. Here a watcher costs one greenlet.
        self.servicer = health.HealthServicer(experimental_non_blocking=False)
        self.set_ready(False, "the node is starting")

    def set_ready(self, ready: bool, reason: str = "", **details: Any) -> None:
        """Set whether the node takes requests. If not, `reason` is one sentence for people.

        `details` are further JSON values that /readyz shows.
        """
        self.ready = ready
        self.reason = reason
        self.details: Mapping[str, Any] = details
        for service in self._services:
            self.servicer.set(service, _SERVING if ready else _NOT_SERVING)

    def shut_down(self) -> None:
        """Make the node not ready for ever."""
        self.set_ready(False, "the node is stopping")
        self.servicer.enter_graceful_shutdown()
