"""How long answers took, in a fixed number of buckets: quantiles at any time, for little memory."""

from __future__ import annotations

import math

LEAST_S = 1e-4
"""What is shorter counts as that."""
PER_DOUBLING = 8
"""So many buckets between a duration and twice that: a quantile is off by 5 % at the most."""
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
        """How many durations there were."""
        self.most_s = 0.0
        """The longest of them."""

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.count += 1
        if seconds > self.most_s:
            self.most_s = seconds
        bucket = int(math.log(seconds) * _SCALE - _ZERO) if seconds > LEAST_S else 0
        self._buckets[bucket if bucket < _BUCKETS else -1] += 1

    def quantile(self, share: float) -> float:
        """The duration that so large a share of them do not exceed; 0 when there were none."""
        wanted = share * self.count
        passed = 0
        for bucket, count in enumerate(self._buckets):
            passed += count
            if count and passed >= wanted:
                middle_s = LEAST_S * 2 ** ((bucket + 0.5) / PER_DOUBLING)
                return min(middle_s, self.most_s)
        return self.most_s

    def shown(self) -> dict[str, float]:
        """The quantiles by name, and the longest as `max`, in seconds."""
        found = {name: self.quantile(share) for name, share in QUANTILES.items()}
        return {name: round(value, 4) for name, value in {**found, "max": self.most_s}.items()}
