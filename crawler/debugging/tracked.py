"""Goes through all objects of a process that the collector knows, and lets others have turns."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import gevent

SLICE = 5_000
"""How many objects are looked at in one turn of the hub."""
PAUSE_S = 0.001
"""The pause between two slices. With none the hub might run this again before its timers."""
MOST = 5_000_000
"""How many objects are looked at in all."""


def tracked() -> Iterator[Any]:
    """Yield the objects, with a turn of the hub for others after each slice. Those that are made
    or end meanwhile may be missed."""
    found = gc.get_objects()
    mine = id(found)
    for at in range(0, min(len(found), MOST), SLICE):
        part = found[at : at + SLICE]
        yield from (each for each in part if id(each) != mine)
        found[at : at + SLICE] = [None] * len(part)  # keep none of them alive for longer
        del part
        gevent.sleep(PAUSE_S)
