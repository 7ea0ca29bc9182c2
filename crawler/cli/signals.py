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


def until_told(*then: Callable[[], None]) -> Event:
    """Like `until_signal`, but it needs no turn of the hub: `then` can also cut off a callback that
    computes without end. Therefore none of `then` may block."""
    wanted = Event()
    on_interrupt(wanted.set, *then)
    _turn_at_signals()
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


def _turn_at_signals() -> None:
    """Make each signal turn an idle hub, so that Python runs its handler now. gevent alone would do
    it up to 0.3 s later."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = gevent.get_hub().loop.io(reading, 1)
    watcher.start(os.read, reading, 100)
    _watchers.append(watcher)


_watchers: list[Any] = []
"""They must live as long as the process."""


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
