"""The page of memory in which a node tells its guard until when its lease lasts.

Both processes map it. The node stores, and the guard reads, 8 bytes at a time, so that neither ever
waits for the other. Only the standard library is imported: the guard is a small process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from functools import partial

_SIZE = mmap.PAGESIZE
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_FUTURE_WRITE = 0x10
"""F_SEAL_FUTURE_WRITE of fcntl(2): whoever opens the page from now on can only read it."""

NO_LEASE = 0.0
"""What is in the page while the node has no lease."""

now = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""The clock of the deadline in seconds: that of `SystemClock.monotonic`, the same in all processes
of a machine."""


class Page:
    """The shared page. `fd` is its descriptor, for the one who shall read it."""

    def __init__(self, fd: int, *, writes: bool) -> None:
        """Map the page behind a descriptor, which `close` closes."""
        self.fd = fd
        access = mmap.ACCESS_WRITE if writes else mmap.ACCESS_READ
        self._map = mmap.mmap(fd, _SIZE, access=access)
        self._seconds = memoryview(self._map).cast("d")

    @classmethod
    def make(cls) -> Page:
        """Make a page without a name that only its maker can write. Raises OSError."""
        fd = os.memfd_create("crawler-lease", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, _SIZE)
            page = cls(fd, writes=True)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS | _FUTURE_WRITE)
        except BaseException:
            os.close(fd)
            raise
        return page

    def close(self) -> None:
        """Unmap the page and close the descriptor. Whoever uses it now gets a ValueError."""
        if self.fd >= 0:
            self._seconds.release()
            self._map.close()
            os.close(self.fd)
            self.fd = -1

    @property
    def deadline_s(self) -> float:
        """When the lease is over by the node's clock; `NO_LEASE` while there is none."""
        return self._seconds[0]

    @deadline_s.setter
    def deadline_s(self, seconds: float) -> None:
        self._seconds[0] = seconds  # one store of 8 bytes: any native thread may make it
