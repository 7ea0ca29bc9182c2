"""Runs the whole suite, most of it as two sessions of pytest side by side: tests wait a lot.

    python -m tests [OPTION …]

First, alone, come the tests that measure hundredths of a second. Then one session has the tests
that start processes and etcds of their own, the other all the rest. Options are given to all. The
first of the two is seen as it runs, the other when it has ended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

HERE = Path(__file__).parent
ALONE = ("integration/test_engine_politeness.py",)
APART = (
    "faults",
    "integration/test_processes_*.py",
    "integration/test_overload.py",
    "contract/test_etcd*.py",
)


def main(options: list[str]) -> int:
    """Run them; 0 when all tests passed."""
    alone, apart = _files(ALONE), _files(APART)
    rest = [f"--ignore={path}" for path in (*alone, *apart)]
    failed_first = subprocess.call(_pytest(*options, *alone))
    with TemporaryFile() as written:
        others = subprocess.Popen(
            _pytest(*options, *rest, str(HERE)), stdout=written, stderr=written
        )
        failed = subprocess.call(_pytest(*options, *apart))
        failed_too = others.wait()
        written.seek(0)
        sys.stdout.buffer.write(written.read())
        sys.stdout.flush()
    return failed_first or failed or failed_too


def _files(patterns: tuple[str, ...]) -> list[str]:
    return [str(path) for pattern in patterns for path in sorted(HERE.glob(pattern))]


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
