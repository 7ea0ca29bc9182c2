"""Prepares the process for gevent and gRPC: the measured facts about both, in one place.

    prepare()      for a node, and whatever runs one: greenlets, and gRPC among them
    patch()        for crawls alone: greenlets, without gRPC
    quiet_grpc()   for a command that asks a master: gRPC, without greenlets

Each must run before anything else is imported that opens sockets, starts threads or uses gRPC, and
before any gRPC channel exists; `prepare` never in a process that forks afterwards.
"""

from __future__ import annotations

import gc
import os
import sys
from functools import cache

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may hold the interpreter. A blocking gRPC call hands it back and forth several
times; at Python's 5 ms a busy hub delays an etcd write to 70 ms and a watch event to seconds, at
0.5 ms both stay below 5 ms (docs/decisions/0003-switch-interval.md)."""

NATIVE_THREADS = 128
"""gRPC holds one native thread of the hub for each channel with a call in flight; when the pool is
used up, every gRPC call of the process hangs. gevent's default is 10."""

YOUNG_OBJECTS = 25_000
"""New objects after which Python looks for cycles; its own 700 cost a fifth of the time in which a
leader places many tasks, as all of those stay, and none is part of a cycle."""

MIDDLE_AFTER = 4
"""Such looks after which those that survived one are looked at again: 100,000 objects, 25 ms."""


def _leave_open(_: object) -> None:
    """In place of gRPC's own end of a channel that nobody refers to any more."""


@cache
def prepare() -> None:
    """Patch the standard library, teach gRPC gevent, and set the limits above; once a process."""
    patch()
    quiet_grpc()

    import gevent
    import grpc._channel
    import grpc.experimental.gevent

    grpc.experimental.gevent.init_gevent()
    # A channel that is collected closes itself, wherever the collector happens to run, and waits
    # there for its calls: inside another channel's lock that stopped a worker's watches for ever.
    # All channels of ours are closed by name.
    grpc._channel._ChannelCallState.__del__ = _leave_open
    gevent.get_hub().threadpool.maxsize = NATIVE_THREADS


@cache
def patch() -> None:
    """Patch the standard library for greenlets, and set the limits of Python; once a process."""
    from gevent import monkey

    monkey.patch_all()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(YOUNG_OBJECTS, MIDDLE_AFTER, 10)


def quiet_grpc() -> None:
    """Have gRPC leave forks alone, and the terminal."""
    # gRPC's support of forks starts its threads anew in every child, even in one that is about to
    # become another program; of those about one in ten crashed before it did. We need none of it.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    # It would write lines of its own between those of the log; what matters comes as an error too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
