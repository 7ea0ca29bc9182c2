"""Kills crawl processes by their pidfds, and waits until they are gone.

Only the standard library is imported: the guard is a small process.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress

from crawler.node.guard.duty import Crawling

_WHOLE_GROUP = 4
"""PIDFD_SIGNAL_PROCESS_GROUP of pidfd_send_signal(2), since Linux 6.9: it reaches the group that a
process led, also when the process itself is gone, and never a group that got its number later."""


def kill(crawling: Crawling) -> None:
    """Kill a process and the process group that it leads. Raises nothing: it may be gone."""
    if crawling.group:
        with suppress(OSError):
            _kill_group(crawling)
    with suppress(OSError):  # it may have no group yet
        signal.pidfd_send_signal(crawling.pidfd, signal.SIGKILL)


def wait(killed: Collection[Crawling], most_s: float) -> None:
    """Wait until these are gone, for at most so many seconds."""
    left = select.poll()
    pidfds = {crawling.pidfd for crawling in killed}
    for pidfd in pidfds:
        left.register(pidfd, select.POLLIN)
    deadline_s = time.monotonic() + most_s
    while pidfds and (left_s := deadline_s - time.monotonic()) > 0:
        for pidfd, _ in left.poll(left_s * 1000):
            left.unregister(pidfd)
            pidfds.discard(pidfd)


def is_gone(pidfd: int) -> bool:
    """Return whether the process has ended."""
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    return bool(ended.poll(0))


def _kill_group(crawling: Crawling) -> None:
    try:
        signal.pidfd_send_signal(crawling.pidfd, signal.SIGKILL, None, _WHOLE_GROUP)
    except OSError as error:
        # An older kernel. While the process lives, the number of its group is nobody else's.
        if error.errno == errno.EINVAL and not is_gone(crawling.pidfd):
            os.killpg(crawling.group, signal.SIGKILL)
