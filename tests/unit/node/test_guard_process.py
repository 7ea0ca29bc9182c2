"""The process of a guard, beside a node that is a process without a will of its own."""

import os
import signal
from contextlib import suppress
from functools import cached_property

import pytest

from crawler.node.guard import messages
from crawler.node.guard.killing import is_gone
from crawler.node.guard.page import Page
from crawler.node.guard.spawned import Spawned
from tests.unit.node.test_guard import Crawling
from tests.waiting import PATIENCE_S, eventually

IN_ORDER = ("exit code 0", "unknown")
"""How it ends. gevent's own watch of children may have asked before this one."""
BEGIN = {"etcd": {"endpoints": []}, "style": "text"}


class Stage:
    """A node, a crawl process of it, and the guard of both."""

    def __init__(self):
        self.page = Page.make()
        self.node, self.crawling = Crawling(), Crawling()

    @cached_property
    def guard(self):
        """Started by the test itself: then pytest sees what it writes."""
        return Spawned.start()

    def begin(self):
        self.guard.send(messages.BEGIN, (self.node.pidfd, self.page.fd), **BEGIN)
        return self

    def watch(self):
        self.guard.send(messages.WATCH, (self.crawling.pidfd,), those=[(1, self.crawling.pid)])
        return self

    def hang_up(self):
        """Nobody can send anything any more."""
        self.guard._socket.shutdown(2)
        return self

    def end(self):
        self.node.end()
        assert self.guard.wait(PATIENCE_S), "it ends with its node"
        self.crawling.end()
        self.page.close()


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.end()


def test_a_node_that_dies_takes_its_crawl_processes_with_it(stage, capfd):
    stage.begin().watch()
    stage.node.die()
    eventually(lambda: stage.crawling.gone, what="it is killed")
    assert stage.guard.wait(PATIENCE_S) in IN_ORDER
    told = capfd.readouterr().err
    assert "WARNING the process of this node has ended" in told
    assert "killed 1 crawl processes, and had no lease to revoke" in told


def test_a_node_that_says_nothing_more_and_lives_is_guarded_all_the_same(stage):
    stage.begin().watch().hang_up()
    assert not stage.guard.wait(0.2)
    assert not stage.crawling.gone
    stage.node.die()
    assert stage.guard.wait(PATIENCE_S) in IN_ORDER
    assert stage.crawling.gone


def test_what_a_node_said_last_counts(stage):
    os.kill(stage.guard.pid, signal.SIGSTOP)
    stage.begin().watch().hang_up()
    stage.node.die()
    os.kill(stage.guard.pid, signal.SIGCONT)
    assert stage.guard.wait(PATIENCE_S) in IN_ORDER
    assert stage.crawling.gone


def test_a_node_that_goes_in_order_changes_nothing_though_it_dies_right_then(stage):
    os.kill(stage.guard.pid, signal.SIGSTOP)
    stage.begin().watch()
    stage.guard.send(messages.GO)
    stage.node.die()
    os.kill(stage.guard.pid, signal.SIGCONT)
    assert stage.guard.wait(PATIENCE_S) in IN_ORDER
    assert not stage.crawling.gone


def test_a_node_that_dies_before_its_first_word_leaves_no_guard(stage):
    assert stage.hang_up().guard.wait(PATIENCE_S) in IN_ORDER


def test_it_has_nothing_open_but_what_it_was_given(stage):
    kept = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(kept, True)  # as a library may do that was not written for this
    stage.begin()
    other = Spawned.start()
    other.send(messages.BEGIN, (stage.node.pidfd, stage.page.fd), **BEGIN)
    folder = f"/proc/{other.pid}/fd"

    def names():
        found = set()
        for number in os.listdir(folder):
            with suppress(FileNotFoundError):  # it closes what it was given by mistake
                found.add(os.readlink(f"{folder}/{number}"))
        return found

    eventually(lambda: any("crawler-lease" in name for name in names()), what="it has begun")
    assert "/etc/hostname" not in names()
    other.send(messages.GO)
    other.end(20.0)
    os.close(kept)
    assert not is_gone(stage.node.pidfd)
