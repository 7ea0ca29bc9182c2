"""Measures how full the disk of a worker's items is."""

from __future__ import annotations

import os
from pathlib import Path

import gevent

from crawler.clock import Clock
from crawler.metrics import Metrics

EVERY_S = 10.0


class Disk:
    """The disk of a folder. A native thread asks for it: a disk of the network may not answer."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self.used = 0.0
        """The share that is in use, as the program of an ordinary user sees it; 0 if unknown."""

    def measure(self, metrics: Metrics) -> None:
        """Export it."""
        help = "Share of the disk of the items that is in use; 0 if it is not known."
        metrics.gauge_of("crawler_disk_used", help, lambda: self.used)

    def watch(self) -> None:
        """Measure it again and again."""
        while True:
            self.used = gevent.get_hub().threadpool.apply(share_used, (self._folder,))
            self._clock.sleep(EVERY_S)


def share_used(folder: Path) -> float:
    """Return the share of the disk of a folder, or of the nearest one above it, that is in use; 0
    if nobody can tell."""
    for each in (folder, *folder.resolve().parents):
        try:
            found = os.statvfs(each)
        except FileNotFoundError:
            continue
        except OSError:
            return 0.0
        used = found.f_blocks - found.f_bfree
        total = used + found.f_bavail
        return round(used / total, 3) if total > 0 else 0.0
    return 0.0
