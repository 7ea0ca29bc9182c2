"""What a worker says of itself: how much of a processor it uses, how late its hub turns."""

from __future__ import annotations

import time

from crawler.api.service import UNTOLD
from crawler.clock import Clock
from crawler.model.records import WorkerLoad

TELL_S = 10.0
"""How often a worker tells its load when it has nothing else to say."""

LEAST_S = 1.0
"""A load over less time than this says too little."""


class OwnLoad:
    """Measures between one look and the next; whoever reports looks often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_s = clock.monotonic()
        self._cpu_s = time.process_time()
        self._late_s = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to tell it even without anything else to say."""
        return self._clock.monotonic() - self._told_s >= TELL_S

    def sleep(self, duration_s: float) -> None:
        """Sleep; what it takes longer than wanted is the hub's doing."""
        started_s = self._clock.monotonic()
        self._clock.sleep(duration_s)
        self._late_s = max(self._late_s, self._clock.monotonic() - started_s - duration_s)

    def tell(self) -> WorkerLoad:
        """The load since it was told last; nothing if that was just now."""
        now_s, cpu_s = self._clock.monotonic(), time.process_time()
        passed_s = now_s - self._told_s
        if passed_s < LEAST_S:
            return UNTOLD
        load = WorkerLoad(round((cpu_s - self._cpu_s) / passed_s, 2), round(self._late_s, 3))
        self._told_s, self._cpu_s, self._late_s = now_s, cpu_s, 0.0
        return load
