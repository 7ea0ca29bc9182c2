"""Waiting for a condition with a deadline: the tests' only way to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

PATIENCE_S = 45.0
"""So long a test waits for what takes moments: on a busy machine a process needs many seconds to
start. It says nothing of how long something may take; a test with such a bound names it."""


def eventually(
    condition: Callable[[], Any],
    within_s: float = PATIENCE_S,
    what: str = "",
    every_s: float = 0.01,
) -> Any:
    """The first true result of `condition`; fails the test when there is none in that time."""
    deadline_s = time.monotonic() + within_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what or condition}"
        gevent.sleep(every_s)
