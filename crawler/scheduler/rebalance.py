"""Which workers have too much, and which too little: the decision to move what is at work already.

A move costs the task what it has done so far, so moves are few: only while some workers stand above
the band around the mean and others below it, at most so many in an interval, and never a task that
was given to its worker not long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.scheduler.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Band:
    """How far the loads of workers may lie apart."""

    width: float
    """Share of the mean by which a load may differ from it; one task it may differ always."""

    def outside(
        self, workers: Sequence[Candidate]
    ) -> tuple[Sequence[Candidate], Sequence[Candidate]]:
        """Those above the band, the fullest first, and those below it; either may be empty."""
        if not workers:
            return [], []
        mean = sum(each.unfinished for each in workers) / len(workers)
        slack = max(1.0, mean * self.width)
        above = [each for each in workers if each.unfinished > mean + slack]
        below = [each for each in workers if each.unfinished < mean - slack]
        return sorted(above, key=lambda each: (-each.unfinished, each.id)), below
