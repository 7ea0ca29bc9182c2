"""Measures how long answers took: quantiles at any time, with little memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LEAST_S = 1e-4
"""The shortest duration. Shorter ones count as this."""
PER_DOUBLING = 8
"""The buckets between a duration and twice that. A quantile has an error of 5 % at most."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_BUCKETS = 25 * PER_DOUBLING
_SCALE = PER_DOUBLING / math.log(2)
_ZERO = math.log(LEAST_S) * _SCALE


class Latency:
    """A histogram of durations, from a tenth of a millisecond to an hour."""

    __slots__ = ("_buckets", "count", "most_s")

    def __init__(self) -> None:
        self._buckets = [0] * _BUCKETS
        self.count = 0
        """The number of durations."""
        self.most_s = 0.0
        """The longest duration."""

    def kept(self) -> list[Any]:
        """The histogram in JSON: the longest duration, and the buckets that are not empty."""
        return [self.most_s, *((at, count) for at, count in enumerate(self._buckets) if count)]

    def go_on(self, kept: Sequence[Any]) -> None:
        """Go on from what `kept` returned."""
        self.most_s, *filled = kept
        for at, count in filled:
            self._buckets[at] = count
            self.count += count

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.count += 1
        if seconds > self.most_s:
            self.most_s = seconds
        bucket = int(math.log(seconds) * _SCALE - _ZERO) if seconds > LEAST_S else 0
        self._buckets[bucket if bucket < _BUCKETS else -1] += 1

    def quantile(self, share: float) -> float:
        """The duration that this share of all durations does not exceed; 0 if there were none."""
        wanted = share * self.count
        passed = 0
        for bucket, count in enumerate(self._buckets):
            passed += count
            if count and passed >= wanted:
                middle_s = LEAST_S * 2 ** ((bucket + 0.5) / PER_DOUBLING)
                return min(middle_s, self.most_s)
        return self.most_s

    def shown(self) -> dict[str, float]:
        """The quantiles by name, and the longest duration as `max`, in seconds."""
        found = {name: self.quantile(share) for name, share in QUANTILES.items()}
        return {name: round(value, 4) for name, value in {**found, "max": self.most_s}.items()}
