"""A pytest plugin that writes down what a session came to, for whoever runs several (__main__).

While the session runs, a file beside it names the test that is under way: a session that breaks
down, by a signal for example, can no longer tell which test did it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

COUNTED = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "error")
"""In the order in which pytest tells them; "" of its statistics is what passed besides tests."""


def under_way(tally: Path) -> Path:
    """The file that names the test under way in the session that writes this tally."""
    return tally.with_name(f"{tally.name}.test")


def pytest_runtest_logstart(nodeid: str) -> None:
    """Name the test that begins."""
    if "TESTS_TALLY" in os.environ:
        under_way(Path(os.environ["TESTS_TALLY"])).write_text(nodeid)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the counts, and how long each test took, into the file that TESTS_TALLY names."""
    if "TESTS_TALLY" not in os.environ:
        return
    stats = terminalreporter.stats
    took_s: dict[str, float] = {}
    for report in (each for kind in stats.values() for each in kind if hasattr(each, "duration")):
        took_s[report.nodeid] = took_s.get(report.nodeid, 0.0) + report.duration
    counts = {kind: len(stats.get(kind, ())) for kind in COUNTED}
    tally = {"counts": counts, "took_s": took_s}
    Path(os.environ["TESTS_TALLY"]).write_text(json.dumps(tally))
