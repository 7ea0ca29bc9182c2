"""How many items a second each sink takes; each is measured in a process of its own.

python -m bench.sinks [ROW …]
python -m bench.engine sinks
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence

from bench.table import Row, print_rows

BOUNDS: Mapping[str, int] = {
    "jsonl": 13_000,
    "csv": 0,
    "parquet": 0,
    "sqlite": 20_000,
    "postgresql": 10_000,
    "mysql": 0,
}
"""Items a second that a sink has to take at the least; 0 is without a bound."""


def rows(names: Sequence[str] = ()) -> Sequence[Row]:
    """The named sinks, or all."""
    return [_row(name) for name in names or BOUNDS]


def _row(name: str) -> Row:
    command = [sys.executable, "-m", "bench.sink_rate", name]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    if "missing" in found:
        return Row(f"sink {name}", found["missing"])
    measured = "{items_per_s:,.0f} items/s, {cpu_us:.1f} us each, hub late {late_ms:.1f} ms"
    bound = BOUNDS[name]
    return Row(
        f"sink {name}",
        measured.format(**found),
        f">= {bound:,} items/s" if bound else "",
        found["items_per_s"] >= bound if bound else None,
        found,
    )


if __name__ == "__main__":
    print_rows(rows(sys.argv[1:]))
