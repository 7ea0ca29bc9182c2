"""A profile harms nothing, whatever the process does at the moment of a look."""

import subprocess
import sys

WITH_COLLECTIONS_ALL_THE_TIME = """
import gevent.monkey
gevent.monkey.patch_all()
import gc, gevent
from crawler.debugging import sampler

get_ident = gevent.monkey.get_original("_thread", "get_ident")
wait_natively = gevent.monkey.get_original("time", "sleep")
hub = get_ident()
collections = []

def let_the_hub_go_on(phase, info):
    '''As a finalizer does that a collection runs in the thread of the sampler.'''
    if get_ident() != hub:
        collections.append(phase)
        wait_natively(0.0002)

def stand(depth):
    if depth:
        return stand(depth - 1)
    gevent.sleep(0)

sampler.LOOK_S = 0.0005
gc.callbacks.append(let_the_hub_go_on)
gc.set_threshold(1)
with sampler.sampled():
    while len(collections) < ENOUGH:
        gevent.joinall([gevent.spawn(stand, 5) for _ in range(10)])
print("fine")
"""

ENOUGH = 300


def test_a_look_survives_that_garbage_is_collected_in_its_thread_and_greenlets_end_meanwhile():
    """Before CPython 3.12 a collection may run whenever an object is made."""
    code = WITH_COLLECTIONS_ALL_THE_TIME.replace("ENOUGH", str(ENOUGH))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "fine\n", "")
