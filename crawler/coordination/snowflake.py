"""Snowflake ids: 41 bits of milliseconds, 10 of node, 12 of sequence; never one twice.

A generator only goes forward: when the clock goes back, or a millisecond's 4,096 ids are used up,
it goes on from the last id and borrows from the future. Across restarts and masters the same holds
through the high-water mark: each transaction that stores new ids stores the highest of them
(`Keys.snowflake`), and the next leader starts above it, whatever its clock says.
"""

from __future__ import annotations

from snowflake import Snowflake

from crawler.clock import Clock

EPOCH_MS = 1_288_834_974_657
"""Milliseconds of Unix time at which ids start; the one Twitter chose and Go's library kept."""

MAX_TIMESTAMP = 2**41 - 1
YEAR_MS = 366 * 24 * 3600 * 1000
MAX_NODE = 1023
MAX_SEQUENCE = 4095


class IdGenerator:
    """Mints the ids of one master."""

    def __init__(self, node: int, clock: Clock, above: int = 0) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node is {node}; 0 to {MAX_NODE} is allowed")
        self._node = node
        self._clock = clock
        # A mark of another node may share the millisecond: the next millisecond is above it.
        self._timestamp = Snowflake.parse(above).timestamp if above else 0
        self._sequence = MAX_SEQUENCE if above else -1

    def next(self) -> int:
        """A new id, higher than all before it."""
        now = self._clock.time_ns() // 1_000_000 - EPOCH_MS
        if now > self._timestamp:
            self._timestamp, self._sequence = now, 0
        elif self._sequence < MAX_SEQUENCE:
            self._sequence += 1
        else:
            self._timestamp, self._sequence = self._timestamp + 1, 0
        return int(Snowflake(self._timestamp, self._node, EPOCH_MS, self._sequence))


def is_usable(mark: int) -> bool:
    """Whether ids can be minted above it: it has the form of one, and leaves a year's worth."""
    return 0 <= mark < 2**63 and mark >> 22 < MAX_TIMESTAMP - YEAR_MS


def node_of(id: int) -> int:
    """The node number within an id."""
    return int(Snowflake.parse(id, EPOCH_MS).instance)
