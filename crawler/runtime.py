"""Prepares the process for gevent and gRPC. All measured facts about both are here.

It must run before any module is imported that opens sockets, starts threads or uses gRPC, and
before any gRPC channel exists. It must not run in a process that forks afterwards.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from contextlib import suppress
from functools import cache

SWITCH_INTERVAL_S = 0.0005
"""The seconds that a thread may hold the interpreter.

A blocking gRPC call passes it back and forth several times. With Python's 5 ms, a busy hub delays
an etcd write to 70 ms and a watch event to seconds. With 0.5 ms both stay below 5 ms
(docs/decisions/0003-switch-interval.md).
"""

NATIVE_THREADS = 128
"""The native threads of the hub. gevent's default is 10.

gRPC uses one for each channel with a call in flight. When all are in use, every gRPC call of the
process hangs.
"""

YOUNG_OBJECTS = 25_000
"""The number of new objects after which Python searches for cycles.

Python's own 700 cost a leader a fifth of its time while it places many tasks, because all those
objects stay and none is part of a cycle.
"""

MIDDLE_AFTER = 4
"""The number of such searches after which their survivors are searched: 100,000 objects, 25 ms."""

MOST_FILES = 65_536
"""The files and connections that a process may have open, where the system lets it choose.

Most systems begin with 1,024, for programs of the last century that cannot count further.
"""


def _leave_open(_: object) -> None:
    """Replaces gRPC's own closing of a channel that nothing refers to any more."""


@cache
def prepare() -> None:
    """Patch the standard library, set up gRPC for gevent, set the limits above; only once."""
    patch()
    quiet_grpc()

    import gevent
    import grpc._channel
    import grpc.experimental.gevent

    grpc.experimental.gevent.init_gevent()
    # A channel that is garbage collected closes itself, wherever the collector happens to run, and
    # waits there for its calls. Inside another channel's lock, this stopped a worker's watches for
    # ever. We close all our channels explicitly.
    grpc._channel._ChannelCallState.__del__ = _leave_open
    gevent.get_hub().threadpool.maxsize = NATIVE_THREADS


@cache
def patch() -> None:
    """Patch the standard library for greenlets, and set Python's limits; once per process."""
    from gevent import monkey

    monkey.patch_all()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(YOUNG_OBJECTS, MIDDLE_AFTER, 10)
    _allow_files()


def _allow_files() -> None:
    """Raise the soft limit of open files as far as the hard one allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # a system may have another limit below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def quiet_grpc() -> None:
    """Turn off gRPC's fork support and its own log lines."""
    # gRPC's fork support restarts its threads in every child, even in one that is about to become
    # another program. About one in ten of those crashed before that. We do not need it.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    # gRPC would write its own lines between those of the log. What matters also comes as an error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
