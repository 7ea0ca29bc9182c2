"""Measures a worker's own load: its use of a processor, and the lateness of its hub."""

from __future__ import annotations

import time

from crawler.api.service import UNTOLD
from crawler.clock import Clock
from crawler.model.records import WorkerLoad

TELL_S = 10.0
"""How often a worker reports its load if it has nothing else to report, in seconds."""

LEAST_S = 1.0
"""The shortest time over which a load says enough, in seconds."""


class OwnLoad:
    """Measures the load between two reports. The reporting greenlet sleeps here often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_s = clock.monotonic()
        self._cpu_s = time.process_time()
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
        now_s, cpu_s = self._clock.monotonic(), time.process_time()
        passed_s = now_s - self._told_s
        if passed_s < LEAST_S:
            return UNTOLD
        load = WorkerLoad(round((cpu_s - self._cpu_s) / passed_s, 2), round(self._late_s, 3))
        self._told_s, self._cpu_s, self._late_s = now_s, cpu_s, 0.0
        return load
