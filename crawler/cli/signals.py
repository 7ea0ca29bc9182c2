"""How signals end commands."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import gevent
from gevent.event import Event

from crawler.cli.base import INTERRUPTED


def until_signal(*then: Callable[[], None]) -> Event:
    """Return an event that SIGTERM or SIGINT sets. The next signals call `then`, and then end the
    process at once."""
    wanted = Event()
    _on_signal(wanted.set, *then)
    return wanted


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGINT raise KeyboardInterrupt in the body, which stops what it has started.

    Otherwise gevent raises it in its hub, with a traceback, and SIGTERM cleans up nothing.
    """
    body = gevent.getcurrent()
    handlers = _on_signal(lambda: gevent.kill(body, KeyboardInterrupt))
    try:
        yield
    finally:
        for handler in handlers:
            handler.cancel()


def on_interrupt(*answers: Callable[[], None]) -> None:
    """Answer each SIGINT or SIGTERM with the next of these. One more signal ends the process at
    once.

    It needs no turn of the hub, so that a callback that never ends can be interrupted too.
    Therefore an answer must not block.
    """
    left = list(answers)

    def handle(number: int, frame: FrameType | None) -> None:
        if not left:
            os._exit(INTERRUPTED)
        left.pop(0)()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _on_signal(*answers: Callable[[], None]) -> list[Any]:
    """Answer each SIGTERM or SIGINT with the next of these. One more signal ends the process at
    once."""
    left = list(answers)

    def handle() -> None:
        if not left:
            os._exit(INTERRUPTED)
        left.pop(0)()

    numbers = (signal.SIGTERM, signal.SIGINT)
    return [gevent.signal_handler(number, handle) for number in numbers]
