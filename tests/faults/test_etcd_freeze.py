"""etcd stands still: connections stay, nothing answers, and it wakes with requests that waited."""

import time

import gevent
import pytest

from tests.waiting import eventually


class EtcdFreeze:
    """Stops etcd; healing lets it go on where it stood."""

    def inject(self, arena):
        self._gone_s = time.monotonic()
        arena.lab.etcd.pause()

    def heal(self, arena):
        arena.lab.etcd.resume()
        arena.excused.append((self._gone_s, time.monotonic()))


@pytest.mark.faults
@pytest.mark.parametrize("ttls", [0.4, 2.5])
def test_for_a_part_of_the_time_to_live_and_for_longer(arena, ttls):
    fault = EtcdFreeze()
    adding = [gevent.spawn(arena.client.add, f"frozen {ttls} {n}") for n in range(10)]
    fault.inject(arena)
    gone_s = time.monotonic()
    eventually(lambda: time.monotonic() > gone_s + ttls * arena.lab.ttl_s)
    fault.heal(arena)
    gevent.joinall(adding, raise_error=True)
    arena.at_full_strength()
    arena.check()
