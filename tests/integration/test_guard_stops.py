"""A node that stands still, or is gone: its crawl processes are killed first, and in time."""

import os
import signal
import subprocess
import sys

import pytest

from crawler.node.guard.killing import is_gone
from tests.guarded import Times
from tests.guards import Ending, guard_of
from tests.integration.lab import ROOT
from tests.waiting import eventually

KEY = "/micro/registry/go.micro.server.worker/go.micro.server.worker-guarded"


class Guarded:
    """Such a node, with one crawl process."""

    def __init__(self, etcd, ttl_s, folder):
        path = folder / "times"
        path.write_bytes(bytes(16))
        self.times = Times(path)
        command = [sys.executable, "-m", "tests.guarded", etcd.endpoint, str(ttl_s), str(path)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        self.crawling = self.started()
        self.ended = Ending(guard_of(self.process.pid))

    def started(self):
        """The next crawl process that it starts."""
        return os.pidfd_open(int(self.process.stdout.readline()))

    def signal(self, number):
        os.kill(self.process.pid, number)

    def end(self):
        self.process.kill()
        self.process.wait()
        eventually(self.ended.is_gone, what="no guard is left")
        assert is_gone(self.crawling)
        self.ended.__exit__()
        os.close(self.crawling)
        self.times.close()
        self.process.stdout.close()


@pytest.fixture
def guarded(request, shared_etcd, etcd_store, tmp_path):
    """The node with a lease of so many seconds."""
    made = Guarded(shared_etcd, request.param, tmp_path)
    yield made
    made.end()


@pytest.mark.parametrize("guarded", [3, pytest.param(5, marks=pytest.mark.faults)], indirect=True)
def test_a_node_that_is_stopped_crawls_no_more_before_its_lease_ends(guarded, etcd_store):
    first_s = guarded.times.deadline_s
    eventually(lambda: guarded.times.deadline_s > first_s, what="it renews its lease")
    guarded.signal(signal.SIGSTOP)
    eventually(lambda: is_gone(guarded.crawling), what="the crawl process is killed")
    assert etcd_store.get(KEY), "the lease has not ended"
    assert guarded.times.computed_s > guarded.times.deadline_s, "it was not killed too early"
    assert not guarded.ended.is_gone()
    eventually(lambda: etcd_store.get(KEY) is None, what="then the lease ends by itself")
    guarded.signal(signal.SIGCONT)
    other = guarded.started()
    assert not is_gone(other), "the node wakes, and comes back with another one"
    os.close(other)


@pytest.mark.parametrize("guarded", [300], indirect=True)
def test_when_a_node_is_killed_its_lease_ends_after_its_crawl_processes(guarded, etcd_store):
    """And at once: no lease of this length ends by itself here."""
    assert etcd_store.get(KEY)
    guarded.signal(signal.SIGKILL)
    eventually(lambda: etcd_store.get(KEY) is None, what="the lease is gone")
    assert is_gone(guarded.crawling), "but not before the crawl process"


@pytest.mark.parametrize("guarded", [300], indirect=True)
def test_a_crawl_process_that_is_hard_to_kill_comes_first_all_the_same(guarded, etcd_store):
    """Stopped ones are killed too: no signal but this one would reach it."""
    signal.pidfd_send_signal(guarded.crawling, signal.SIGSTOP)
    guarded.signal(signal.SIGKILL)
    eventually(lambda: etcd_store.get(KEY) is None, what="the lease is gone")
    assert is_gone(guarded.crawling)
