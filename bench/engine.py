"""What the crawl engine is measured by: speed, politeness over many hosts, memory, sinks.

    python -m bench.engine [ROW …]

All rows when none is named. What is compared with something runs beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import hosts, pending, seen, sinks, speed
from bench.table import Row, as_json, print_rows, write

RESULT = Path("engine.json")

ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "speed": speed.rows,
    "hosts": hosts.rows,
    "seen": seen.rows,
    "pending": pending.rows,
    "sinks": sinks.rows,
}


def main(names: Sequence[str]) -> int:
    """Print the table and write the figures; 1 when a bound was missed."""
    rows: list[Row] = []
    for name in names or ROWS:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        rows += ROWS[name]()
    print_rows(rows)
    write(RESULT, {"rows": as_json(rows)})
    return int(any(row.holds is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
