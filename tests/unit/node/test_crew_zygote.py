"""What forks crawl processes, and what its worker does when it cannot."""

import json
import os
import signal
import socket as sockets

import gevent
import pytest

from crawler.node.crew import spawner, zygote
from crawler.node.crew.spawner import SpawnFailed
from tests.guards import Ending
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def pair():
    ours, theirs = sockets.socketpair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_fork_that_fails_is_told_and_the_zygote_lives(pair, monkeypatch):
    """Too many processes, or no memory: those that live must go on."""
    ours, theirs = pair

    def fail():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(zygote, "_fork", fail)
    server = zygote.Zygote(theirs)
    held, other = os.pipe()
    for number in (1, 2):
        sockets.send_fds(ours, [json.dumps({"number": number}).encode()], [held])
        server._fork()
        told = json.loads(ours.recv(4096))
        assert told["failed"] == number
        assert "unavailable" in told["why"]
    os.close(held)
    os.close(other)


@pytest.fixture
def told_by(monkeypatch):
    """A worker's zygote of which the test plays the process: its socket."""
    monkeypatch.setattr(spawner.os, "posix_spawn", _sleep)
    mine = []
    monkeypatch.setattr(spawner.socket, "socketpair", lambda *given: _kept(mine, *given))
    zygote = spawner.Zygote()
    yield zygote, mine[0]
    zygote.close()
    mine[0].close()


_spawn, _pair = os.posix_spawn, sockets.socketpair


def _sleep(_, arguments, environment, **given):
    return _spawn("/bin/sleep", ["sleep", "1000"], environment)


def _kept(mine, *given):
    ours, theirs = _pair(*given)
    mine.append(theirs.dup())
    return ours, theirs


def test_a_worker_hears_that_there_can_be_no_more(told_by):
    worker, mine = told_by
    mine.send(json.dumps({"failed": 9, "why": "nobody has asked"}).encode())
    asking = gevent.spawn(worker.start, 1, (0,), "")
    eventually(lambda: worker._waiting)
    mine.send(json.dumps({"failed": 1, "why": "no memory"}).encode())
    with pytest.raises(SpawnFailed, match="no memory"):
        asking.get(timeout=PATIENCE_S)
    assert not worker.ended.is_set()


def test_a_process_that_comes_when_nobody_waits_any_more_is_ended(told_by):
    worker, mine = told_by
    pid = _spawn("/bin/sleep", ["sleep", "1000"], {})
    pidfd = os.pidfd_open(pid)
    with Ending(pid) as child:
        sockets.send_fds(mine, [json.dumps({"forked": 7, "pid": pid}).encode()], [pidfd])
        eventually(child.is_gone)
    os.close(pidfd)
    os.waitpid(pid, 0)
    assert not worker.ended.is_set()


def test_the_end_of_a_zygote_is_the_end_of_all_that_wait(told_by):
    worker, mine = told_by
    asking = gevent.spawn(worker.start, 1, (0,), "")
    eventually(lambda: worker._waiting)
    os.kill(worker.pid, signal.SIGKILL)
    mine.shutdown(sockets.SHUT_RDWR)
    with pytest.raises(SpawnFailed, match="has ended"):
        asking.get(timeout=PATIENCE_S)
    assert worker.ended.is_set()
    assert worker.exit_of(12345) is None
