"""Calls in a native thread, whose errors come back to the caller: gevent would print them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gevent.threadpool import ThreadPool

R = TypeVar("R")


def in_thread(
    threads: ThreadPool,
    call: Callable[[], R],
    patience_s: float | None = None,
    on_hang: Callable[[], None] = lambda: None,
) -> R:
    """Return what the call returns, or raise what it raises. Other greenlets run meanwhile.

    If it takes longer than `patience_s`, `on_hang` is called, and the call is waited for all the
    same: nothing can end it.
    """
    result = threads.spawn(_tried, call)
    if not result.wait(patience_s) and not result.ready():
        on_hang()
    outcome: R | Exception = result.get()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _tried(call: Callable[[], R]) -> R | Exception:
    try:
        return call()
    except Exception as error:
        return error
