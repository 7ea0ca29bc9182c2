"""Runs the whole suite as two sessions of pytest side by side: most tests wait most of the time.

    python -m tests [OPTION …]

One session has the tests that start processes and etcds of their own, the other all the rest.
Options are given to both. The first is seen as it runs, the other when it has ended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

HERE = Path(__file__).parent
APART = (
    "faults",
    "integration/test_processes_*.py",
    "integration/test_overload.py",
    "contract/test_etcd_*.py",
)


def main(options: list[str]) -> int:
    """Run both; 0 when all tests passed."""
    apart = [str(path) for pattern in APART for path in sorted(HERE.glob(pattern))]
    rest = [f"--ignore={path}" for path in apart]
    with TemporaryFile() as written:
        others = subprocess.Popen(
            _pytest(*options, *rest, str(HERE)), stdout=written, stderr=written
        )
        failed = subprocess.call(_pytest(*options, *apart))
        failed_too = others.wait()
        written.seek(0)
        sys.stdout.buffer.write(written.read())
        sys.stdout.flush()
    return failed or failed_too


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
