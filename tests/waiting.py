"""Waiting for a condition with a deadline: the tests' only way to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

PATIENCE_S = 45.0
"""So long a test waits for what takes moments: on a busy machine a process needs many seconds to
start. It says nothing of how long something may take; a test with such a bound names it."""


SHARE = 0.1
"""After a wait of some time a test may notice what it waits for later by this share of it: to look
every 10 ms costs processor time here, and in the nodes that are asked."""
RAREST_S = 0.05
"""At least so often it looks."""


def eventually(
    condition: Callable[[], Any],
    within_s: float = PATIENCE_S,
    what: str = "",
    every_s: float = 0.01,
) -> Any:
    """The first true result of `condition`; fails the test when there is none in that time."""
    began_s = time.monotonic()
    while True:
        result = condition()
        if result:
            return result
        waited_s = time.monotonic() - began_s
        assert waited_s < within_s, f"not within {within_s} s: {what or condition}"
        gevent.sleep(max(every_s, min(RAREST_S, waited_s * SHARE)))
