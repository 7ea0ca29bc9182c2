"""A pytest plugin that writes down what a session came to, for whoever runs several (__main__)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

COUNTED = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "error")
"""In the order in which pytest tells them; "" of its statistics is what passed besides tests."""


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
