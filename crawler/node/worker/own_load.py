"""Measures a worker's own load: its use of processors, and the lateness of its hubs."""

from __future__ import annotations

import time
from collections.abc import Callable

from crawler.api.backend import UNTOLD
from crawler.clock import Clock
from crawler.model.records import WorkerLoad
from crawler.node.crew.crew_load import CrewLoad

TELL_S = 10.0
"""How often a worker reports its load if it has nothing else to report, in seconds."""

LEAST_S = 1.0
"""The shortest time over which a load says enough, in seconds."""


class OwnLoad:
    """Measures the load between two reports. The reporting greenlet sleeps here often."""

    def __init__(
        self, clock: Clock, crew: CrewLoad, disk_used: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`crew` tells what the processes of the worker's crew cost, `disk_used` which share of the
        disk is in use."""
        self._disk_used = disk_used
        self._clock = clock
        self._crew = crew
        self._told_s = clock.monotonic()
        self._cpu_s = self._cpu_taken_s()
        self._late_s = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to report the load even without anything else to report."""
        return self._clock.monotonic() - self._told_s >= TELL_S

    def sleep(self, duration_s: float) -> None:
        """Sleep. If that takes longer than `duration_s`, the hub was late."""
        started_s = self._clock.monotonic()
        self._clock.sleep(duration_s)
        self._late_s = max(self._late_s, self._clock.monotonic() - started_s - duration_s)

    def tell(self) -> WorkerLoad:
        """Return the load since the last call; nothing if that was less than `LEAST_S` ago."""
        now_s = self._clock.monotonic()
        passed_s = now_s - self._told_s
        if passed_s < LEAST_S:
            return UNTOLD
        cpu_s = self._cpu_taken_s()
        share = (cpu_s - self._cpu_s) / passed_s / self._crew.processors
        late_s = max(self._late_s, self._crew.take_late_s())
        self._told_s, self._cpu_s, self._late_s = now_s, cpu_s, 0.0
        return WorkerLoad(round(share, 2), round(late_s, 3), self._disk_used())

    def _cpu_taken_s(self) -> float:
        """What this process and those of the crew have taken so far."""
        return time.process_time() + self._crew.cpu_s()
