"""How fast a crawl is: a line over the last minute, from the counts that somebody who watches it
has seen."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

SPAN_S = 60.0
"""How far back the line goes."""
OVER_S = 5.0
"""Over how long a rate is taken: workers report about once a second, and not in step with us."""
WIDTH, HEIGHT = 600.0, 120.0
STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    pages: int
    items: int


@dataclass(frozen=True, slots=True)
class Chart:
    """The lines of a chart, as the points of SVG."""

    pages_per_s: float = 0.0
    items_per_s: float = 0.0
    top: float = 1.0
    """The rate at the upper edge."""
    pages: str = ""
    items: str = ""
    seconds: int = 0
    """How far back the lines go."""
    wide: float = WIDTH
    high: float = HEIGHT


NOTHING = Chart()
"""Before anything was seen twice."""


class Rates:
    """Collects the counts of one task."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def add(self, at_s: float, pages: int, items: int) -> None:
        """Note the counts of a moment. If they have fallen, another run has begun."""
        last = self._samples[-1] if self._samples else None
        if last and (pages < last.pages or items < last.items):
            self._samples.clear()
        self._samples.append(_Sample(at_s, pages, items))
        while self._samples[0].at_s < at_s - SPAN_S - OVER_S:
            self._samples.popleft()

    def chart(self) -> Chart:
        """Return the lines up to the last moment."""
        rates = self._rates()
        if not rates:
            return NOTHING
        now_s = rates[-1][0]
        rates = [each for each in rates if each[0] >= now_s - SPAN_S]
        top = _top(max(max(pages, items) for _, pages, items in rates))

        def points(column: int) -> str:
            return " ".join(
                f"{WIDTH - (now_s - each[0]) * WIDTH / SPAN_S:.1f},"
                f"{HEIGHT - each[column] * HEIGHT / top:.1f}"
                for each in rates
            )

        _, pages, items = rates[-1]
        return Chart(pages, items, top, points(1), points(2), round(now_s - rates[0][0]))

    def _rates(self) -> Sequence[tuple[float, float, float]]:
        """Return when the pages and the items had which rate."""
        found, begin = [], 0
        samples = list(self._samples)
        for at, each in enumerate(samples[1:], 1):
            while samples[begin].at_s < each.at_s - OVER_S and begin < at - 1:
                begin += 1
            before = samples[begin]
            took_s = each.at_s - before.at_s
            if took_s > 0:
                pages, items = each.pages - before.pages, each.items - before.items
                found.append((each.at_s, pages / took_s, items / took_s))
        return found


def _top(most: float) -> float:
    """Return a round number that is not below that one."""
    if most <= 1:
        return 1.0
    size = 10.0 ** math.floor(math.log10(most))
    return next(step * size for step in STEPS if step * size >= most)
