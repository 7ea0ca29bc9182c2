"""How the processes of gunicorn start a node: no signal is lost, and one process alone tells why
none can start.

It needs the standard library alone. gunicorn's first process uses it, which forks the others, and
these use it before they are prepared for gevent.
"""

from __future__ import annotations

import os
import signal

STOPS = signal.SIGTERM, signal.SIGINT, signal.SIGQUIT
"""The signals with which gunicorn, or a terminal, stops a process."""


def hold_stops() -> None:
    """Let these signals wait until the node can answer them. A program that gunicorn has loaded
    only in part would not take note of them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def take_stops() -> None:
    """Take these signals, those that waited first."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


class Failure:
    """The end of gunicorn because no node can start. One process alone may bring it about: if two
    do at once, gunicorn ends with a traceback and another status."""

    def __init__(self) -> None:
        self._parent: int | None = None
        self._turn = -1

    def share(self) -> None:
        """Let the processes that this one forks from now on share it."""
        self._parent = os.getpid()
        self._turn, writing = os.pipe()
        os.write(writing, b"1")
        os.close(writing)

    def take(self) -> bool:
        """Return whether this process is the first that asks. Each is, if nothing is shared."""
        return self._parent is None or bool(os.read(self._turn, 1))

    def is_over(self) -> bool:
        """Return whether the process that shared it has ended."""
        return os.getppid() != self._parent


FAILURE = Failure()
"""That of this gunicorn."""
