"""What a node asks of its role."""

from __future__ import annotations

from typing import Protocol

from crawler.metrics import Metrics
from crawler.node.membership.membership import Role
from crawler.supervision import Supervisor


class NodeRole(Role, Protocol):
    """A role with a life around its memberships, as its node drives it."""

    def start(self, supervisor: Supervisor) -> None:
        """Start what runs whether the node is a member or not."""
        ...

    def load(self) -> None:
        """Wait until what it needs of this machine is there. Raises ConfigError if it cannot be:
        then the node ends before anybody has heard of it."""
        ...

    def prepare(self) -> None:
        """Wait for what the role needs before it may be a member. Raises ConfigError if that can
        never be had."""
        ...

    def stop(self) -> None:
        """Release what `start` took. The node is no longer a member."""
        ...

    def unready_reason(self) -> str:
        """Return why the node is not ready, or an empty text if it is."""
        ...

    def measure(self, metrics: Metrics) -> None:
        """Add the role's own metrics."""
        ...
