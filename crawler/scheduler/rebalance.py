"""Finds the workers with too many and too few tasks, to move running tasks between them.

A moved task loses what it has done so far, so moves are few. Tasks move only while some workers are
above the band around the mean load and others below it. The number of moves in an interval is
limited. A task that its worker got a short time ago does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.scheduler.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Band:
    """How far the loads of workers may differ."""

    width: float
    """By which share of the mean a load may differ from it. A difference of one task is always
    allowed."""

    def outside(
        self, workers: Sequence[Candidate]
    ) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
        """Return the workers above the band, the fullest first, and those below it. Either may be
        empty."""
        if not workers:
            return [], []
        mean = sum(each.unfinished for each in workers) / len(workers)
        slack = max(1.0, mean * self.width)
        above = [each for each in workers if each.unfinished > mean + slack]
        below = [each for each in workers if each.unfinished < mean - slack]
        return sorted(above, key=lambda each: (-each.unfinished, each.id)), below
