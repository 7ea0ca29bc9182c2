"""What the crawl engine is measured by: speed, politeness over many hosts, memory, sinks.

    python -m bench.engine [ROW …]

All rows when none is named. What is compared with something runs beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import hosts, pending, seen, sinks, speed
from bench.table import Row, report

RESULT = Path("engine.json")


def _scrape() -> Sequence[Row]:
    # It imports the whole program. The memory of that must not count in the other rows, whose
    # processes are forked from this one.
    from bench import scrape

    return scrape.rows()


ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "speed": speed.rows,
    "hosts": hosts.rows,
    "seen": seen.rows,
    "pending": pending.rows,
    "sinks": sinks.rows,
    "scrape": _scrape,
}


if __name__ == "__main__":
    sys.exit(report(ROWS, sys.argv[1:], RESULT))
