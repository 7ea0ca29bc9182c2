"""A node with nothing but a lease, a guard, and one crawl process that computes.

    python -m tests.guarded ENDPOINT TTL_S FILE

It prints the number of the crawl process each time that it has become a member. In the file are two
times, in seconds on the clock of leases: when the crawl process last computed, and when the lease
is over.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

from crawler.runtime import prepare

prepare()

import gevent  # noqa: E402

from crawler.clock import SystemClock  # noqa: E402
from crawler.coordination.etcd.store import EtcdStore  # noqa: E402
from crawler.coordination.keys import WORKER, Keys  # noqa: E402
from crawler.hub import HubWatch  # noqa: E402
from crawler.model.records import Node  # noqa: E402
from crawler.node.guard.guard import guard_of  # noqa: E402
from crawler.node.membership.membership import Membership  # noqa: E402
from crawler.node.membership.names import NodeNames  # noqa: E402
from crawler.settings.sections import CoordinationSettings, EtcdSettings, Settings  # noqa: E402
from crawler.supervision import Supervisor  # noqa: E402

COMPUTES = """
import mmap, sys, time
with open(sys.argv[1], "r+b") as file:
    times = memoryview(mmap.mmap(file.fileno(), 16)).cast("d")
until_s = time.monotonic() + 60  # no guard knows it yet if its node dies right now
while time.monotonic() < until_s:
    times[0] = time.clock_gettime(time.CLOCK_BOOTTIME)
    time.sleep(0.0002)
"""


class Times:
    """The two times in the file."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)
        self._times = memoryview(self._map).cast("d")

    def close(self):
        """Let the file go."""
        self._times.release()
        self._map.close()

    @property
    def computed_s(self):
        """When the crawl process last computed."""
        return self._times[0]

    @property
    def deadline_s(self):
        """When the lease is over by the clock of the node."""
        return self._times[1]

    @deadline_s.setter
    def deadline_s(self, seconds):
        self._times[1] = seconds


class Noted:
    """A guard whose deadlines are noted in the file too."""

    def __init__(self, guard, times):
        self._guard = guard
        self._times = times

    def __getattr__(self, name):
        return getattr(self._guard, name)

    def deadline(self, seconds):
        self._times.deadline_s = seconds
        self._guard.deadline(seconds)


class Role:
    """Has one crawl process in each session."""

    def __init__(self, guard, path):
        self._guard = guard
        self._path = path
        self._crawling = None

    def describe(self, node_id, address):
        return Node(node_id, address)

    def join(self, session):
        command = [sys.executable, "-I", "-S", "-c", COMPUTES, self._path]
        self._crawling = subprocess.Popen(command, process_group=0)
        pid = self._crawling.pid
        self._guard.watch(1, os.pidfd_open(pid), pid)
        print(pid, flush=True)

    def leave(self):
        self._guard.forget(1)


def main(endpoint, ttl_s, path):
    """Be a member until this process ends."""
    settings = Settings(
        etcd=EtcdSettings(endpoints=[endpoint]),
        coordination=CoordinationSettings(lease_ttl_s=int(ttl_s)),
    )
    clock, hub = SystemClock(), HubWatch(2.0)
    hub.start()
    guard = guard_of(settings, clock)
    guard.start(Supervisor("guarded"))
    names = NodeNames("guarded", False, 60.0, clock)
    noted = Noted(guard, Times(path))
    membership = Membership(
        EtcdStore([endpoint]),
        Keys(settings.coordination),
        WORKER,
        int(ttl_s),
        names,
        clock,
        hub,
        noted,
    )
    gevent.spawn(membership.run, Role(guard, path), lambda: "127.0.0.1:1")
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
