"""Calls in a native thread, whose errors come back to the caller: gevent would print them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent.threadpool import ThreadPool

R = TypeVar("R")


def in_thread(threads: ThreadPool, call: Callable[[], R]) -> R:
    """Return what the call returns, or raise what it raises. Other greenlets run meanwhile."""
    outcome: R | Exception = threads.apply(_tried, (call,))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _tried(call: Callable[[], R]) -> R | Exception:
    try:
        return call()
    except Exception as error:
        return error
