"""Snowflake ids: 41 bits of milliseconds, 10 of node, 12 of sequence. No id is given out twice.

A generator only goes forward. If the clock goes back, or the 4,096 ids of a millisecond are used
up, it goes on from the last id and borrows from the future. The mark of the ids ensures the same
across restarts and masters. Each transaction that stores new ids also stores the highest of them
(`Keys.snowflake`). The next leader starts above it, whatever its clock says.
"""

from __future__ import annotations

from snowflake import Snowflake

from crawler.clock import Clock

EPOCH_MS = 1_288_834_974_657
"""The Unix time in milliseconds at which ids start. Twitter chose it, and Go's library kept it."""

MAX_TIMESTAMP = 2**41 - 1
YEAR_MS = 366 * 24 * 3600 * 1000
MAX_NODE = 1023
MAX_SEQUENCE = 4095


class IdGenerator:
    """Gives out the ids of one master."""

    def __init__(self, node: int, clock: Clock, above: int = 0) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node is {node}; 0 to {MAX_NODE} is allowed")
        self._node = node
        self._clock = clock
        # The mark may be from another node in the same millisecond. The next millisecond is above
        # it.
        self._timestamp = Snowflake.parse(above).timestamp if above else 0
        self._sequence = MAX_SEQUENCE if above else -1

    def next(self) -> int:
        """Return a new id, higher than all before it."""
        now = self._clock.time_ns() // 1_000_000 - EPOCH_MS
        if now > self._timestamp:
            self._timestamp, self._sequence = now, 0
        elif self._sequence < MAX_SEQUENCE:
            self._sequence += 1
        else:
            self._timestamp, self._sequence = self._timestamp + 1, 0
        return int(Snowflake(self._timestamp, self._node, EPOCH_MS, self._sequence))


def is_usable(mark: int) -> bool:
    """Whether ids can be given out above the mark: it has the form of an id, and leaves room for a
    year."""
    return 0 <= mark < 2**63 and mark >> 22 < MAX_TIMESTAMP - YEAR_MS


def node_of(id: int) -> int:
    """Return the node number within an id."""
    return int(Snowflake.parse(id, EPOCH_MS).instance)
