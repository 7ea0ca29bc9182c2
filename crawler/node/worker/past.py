"""What a worker that lost its lease and came back tells the leader about its earlier incarnations.

The leader had to count the earlier one as dead, and to blame its tasks. But the process did not
end. Its registration therefore says from which incarnation on it has been this process, and which
task's callback kept it from renewing its lease, if one did.
"""

from __future__ import annotations

from collections.abc import Mapping

from crawler.clock import Clock
from crawler.hub import HubWatch
from crawler.model.records import HUNG, PROCESS


class Past:
    """The earlier incarnations of this process."""

    def __init__(self, clock: Clock, hub: HubWatch | None, ttl_s: float) -> None:
        self._clock = clock
        self._hub = hub
        self._least_s = ttl_s / 2
        """A callback that computed for less cannot have cost the lease."""
        self._first = 0
        self._latest = 0
        self._joined_s = 0.0

    def joined(self, incarnation: int) -> None:
        """Note that the process is registered as that incarnation."""
        self._first = self._first or incarnation
        self._latest = incarnation
        self._joined_s = self._clock.monotonic()

    def metadata(self) -> Mapping[str, str]:
        """Return the entries for the next registration. A new process has none."""
        if not self._first:
            return {}
        task = self._hung_task()
        return {PROCESS: str(self._first)} | ({HUNG: f"{self._latest} {task}"} if task else {})

    def _hung_task(self) -> str:
        """Return the task whose callback cost the latest incarnation its lease, if one did."""
        blockage = self._hub.latest if self._hub is not None else None
        if blockage is None or blockage.began_s < self._joined_s:
            return ""
        lasted_s = blockage.lasted_s
        if lasted_s is None:  # it has just ended: this runs in a greenlet
            lasted_s = self._clock.monotonic() - blockage.began_s
        return blockage.task if lasted_s > self._least_s else ""
