"""How fast tasks are placed: decided, made durable, accepted, taken over.

    python -m bench.placement [ROW …]

All rows when none is named; `growth` is a table of its own. Each figure is of this machine, with a
real etcd on it where one is named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tests.patched  # noqa: F401  # prepares the process as production does
from bench import decisions, durable, history, posting, schedules, takeover
from bench.table import Row, report, write

RESULT = Path("placement.json")
GROWTH = Path("placement-growth.json")

ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "durable": durable.rows,
    "decisions": lambda: [decisions.plain()],
    "constraints": lambda: [decisions.rich()],
    "death": lambda: [decisions.death()],
    "takeover": lambda: [takeover.row()],
    "schedules": lambda: [schedules.row()],
    "history": lambda: [history.row()],
    "posting": lambda: [posting.row(), posting.doors_row()],
}


def main(names: Sequence[str]) -> int:
    """Print the table and write the figures; 1 when a bound was missed."""
    if "growth" in names:
        write(GROWTH, {"cells": decisions.growth()})
        return 0
    return report(ROWS, names, RESULT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
