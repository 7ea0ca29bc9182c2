"""How signals end commands."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import gevent
from gevent.event import Event

from crawler.cli.base import INTERRUPTED
from crawler.hub import NativeAlarm, run_beside

STOPPING = (
    "stopping: it lets the running callback end, and writes the items. Press Ctrl-C again to cut"
    " the callback off; the items yielded so far are written all the same"
)
STOPPING_TO_GO_ON = (
    "stopping: it waits for the running callback and for answers under way, 10 s at most. Press"
    " Ctrl-C again to wait for neither; what is not done then is fetched again"
)
WRITE_S = 5.0
"""How many seconds the last items may take to be written after a second Ctrl-C."""


class Crawling(Protocol):
    """What crawls in this process. Both may be called from a signal handler, and do not block."""

    def stop(self) -> None:
        """Let it end soon, in order."""
        ...

    def cut_off(self) -> None:
        """End callbacks where they are. It may raise GreenletExit."""
        ...


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


def end_at_once() -> None:
    """Make SIGTERM and SIGINT raise KeyboardInterrupt in the caller, which loads what it will run,
    until `end_in_order` takes over.

    It needs no turn of the hub, because the import of a spider may compute for long.
    """
    body = gevent.getcurrent()

    def interrupt() -> None:
        if gevent.getcurrent() is body:
            raise KeyboardInterrupt
        gevent.kill(body, KeyboardInterrupt)

    on_interrupt(interrupt)


def end_in_order(crawling: Crawling, goes_on: bool = False) -> None:
    """Let the first Ctrl-C end what crawls in order, and the second cut its callbacks off; then the
    process ends after `WRITE_S` seconds at the latest. A third ends it at once.

    `goes_on` says that the state of what crawls is kept for a later run.
    """

    def stop() -> None:
        crawling.stop()
        _say(STOPPING_TO_GO_ON if goes_on else STOPPING)

    def cut_off() -> None:
        _say("cutting the callback off, and writing the items")
        run_beside(_end_late)
        crawling.cut_off()

    on_interrupt(stop, cut_off)


def _end_late() -> None:
    NativeAlarm().wait(WRITE_S)
    _say(f"the crawl did not end within {WRITE_S:g} s; its last items may be lost")
    os._exit(INTERRUPTED)


def _say(message: str) -> None:
    """Write a line from a signal handler or a native thread."""
    os.write(sys.stderr.fileno(), f"crawler: {message}\n".encode())


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
