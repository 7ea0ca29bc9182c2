"""etcd ends and starts again with its data; it gives every lease its full time anew."""

import time

import gevent
import pytest

from tests.faults import history
from tests.waiting import eventually


class EtcdRestart:
    """Kills etcd; healing starts it again."""

    def inject(self, arena):
        self._gone_s = time.monotonic()
        arena.lab.etcd.kill()

    def heal(self, arena):
        arena.lab.etcd.restart()
        arena.excused.append((self._gone_s, time.monotonic()))


@pytest.mark.faults
def test_a_short_one(arena):
    fault = EtcdRestart()
    fault.inject(arena)
    fault.heal(arena)
    arena.client.add("after the restart")
    arena.at_full_strength()
    arena.check()


@pytest.mark.faults
def test_one_that_outlasts_every_lease(arena):
    terms = history.leaders(arena.recorder.catch_up())
    fault = EtcdRestart()
    fault.inject(arena)
    for node in arena.lab.nodes("master") + arena.lab.nodes("worker"):
        eventually(lambda n=node: n.call("GET", "/readyz")[0] == 503, what=f"{node.title} stops")
    adding = gevent.spawn(arena.client.add, "asked while etcd was away")
    fault.heal(arena)
    adding.get()
    arena.at_full_strength()
    arena.check()
    assert history.leaders(arena.recorder.catch_up()) > terms
