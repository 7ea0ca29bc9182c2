"""What many crawls have counted together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from crawler.redaction import hide

if TYPE_CHECKING:
    from crawler.engine.stats.counters import Counters

ENDED = 100
"""The number of ended crawls that are remembered."""
SUMMED = (
    *("pages", "items", "requests", "repeated", "retries", "redirects", "from_cache"),
    *("bytes_received", "bytes_expanded", "slow_callbacks"),
)
"""The counts that are summed over all crawls, besides failures and filtered."""


class Totals:
    """Sums over many crawls."""

    def __init__(self) -> None:
        self.sums = dict.fromkeys(SUMMED, 0)
        self.failures: defaultdict[str, int] = defaultdict(int)
        """Failures by reason."""
        self.filtered: defaultdict[str, int] = defaultdict(int)
        """Requests that were filtered, by reason."""

    def copy(self) -> Totals:
        """A copy, to which more can be added."""
        made = Totals()
        made.sums |= self.sums
        made.failures |= self.failures
        made.filtered |= self.filtered
        return made

    def add_totals(self, other: Totals) -> None:
        """Add what others have counted."""
        for sums, more in (
            (self.sums, other.sums),
            (self.failures, other.failures),
            (self.filtered, other.filtered),
        ):
            for name, count in more.items():
                sums[name] = sums.get(name, 0) + count

    def add(self, counters: Counters) -> None:
        """Add what a crawl has counted in this run. Earlier runs have told theirs."""
        earlier = counters.earlier
        for name in SUMMED:
            self.sums[name] += getattr(counters, name) - earlier.get(name, 0)
        for name, sums in (
            ("failed", self.failures),
            ("raised", self.failures),
            ("filtered", self.filtered),
        ):
            before = earlier.get(name, {})
            for reason, count in getattr(counters, name).items():
                sums[hide(reason)] += count - before.get(reason, 0)
