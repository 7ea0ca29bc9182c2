"""Waiting for a condition with a deadline: the tests' only way to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent


def eventually(
    condition: Callable[[], Any], within_s: float = 10.0, what: str = "", every_s: float = 0.01
) -> Any:
    """The first true result of `condition`; fails the test when there is none in that time."""
    deadline_s = time.monotonic() + within_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what or condition}"
        gevent.sleep(every_s)
