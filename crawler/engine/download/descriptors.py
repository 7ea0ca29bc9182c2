"""How many connections the descriptors of this process allow, and what their lack looks like."""

from __future__ import annotations

import errno
import os
import resource

from crawler.engine.http.messages import EXHAUSTED, FetchError

MAX_TOTAL = 2**31 - 1
"""The largest limit that libcurl takes. There is none above it."""
RESERVE = 256
"""The descriptors that are left to all else: etcd, clients, sinks, look-ups; at most half of those
that are free at the start."""
NO_SOCKET = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Why this machine opens no further socket for now."""


def most_connections() -> int:
    """How many connections there may be with the descriptors that this process may still open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < 0:
        return MAX_TOTAL
    spare = files - len(os.listdir("/proc/self/fd"))
    return max(1, spare - min(RESERVE, spare // 2))


def no_thread(error: Exception, seconds: float = 0.0) -> FetchError | None:
    """The error of a request for which no native thread could be started; None for another
    error."""
    if isinstance(error, RuntimeError) and "thread" in str(error):
        return FetchError(EXHAUSTED, str(error), seconds)
    return None
