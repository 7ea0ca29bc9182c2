"""What etcd says of a worker's tasks, and what a lease that is lost meanwhile changes of that."""

from types import SimpleNamespace

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.coordination.codec import encode_resource
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, Put
from crawler.model.records import Node, Spec
from crawler.model.shards import shard_spec
from crawler.node.crew.crew_load import NoLoad
from crawler.node.worker.worker import Worker
from crawler.settings.sections import Settings
from crawler.supervision import Supervisor
from tests.unit.node.scene import stored
from tests.waiting import eventually

SETTINGS = Settings()
KEYS = Keys(SETTINGS.coordination)
ME = Node("w-1", "h:1", incarnation=7)
FICTION = stored(spec=Spec("fiction"), owner=ME)
SHARD = stored(spec=shard_spec(Spec("books", workers=3), 2), owner=ME)


class LosesLease(MemoryStore):
    """The lease of the worker is lost while it asks for the head of a shard."""

    lost = staticmethod(lambda: None)

    def get(self, key):
        if key == KEYS.resource("books"):
            self.lost()
        return super().get(key)


class Stopping:
    """Runs that have to stop: what is noted of their files."""

    def __init__(self, *resources):
        self.ends = []
        self.runs = {each.name: self._run(each) for each in resources}

    def _run(self, resource):
        run = type("Run", (SimpleNamespace,), {"__hash__": object.__hash__})()
        run.name, run.resource, run.stops, run.can_go_on = resource.name, resource, 0, False
        run.end_files = lambda how: self.ends.append((run.name, how))
        return run

    def of(self, name):
        return self.runs[name]

    def ending(self, names):
        return []

    def stop(self, names):
        pass

    cut_short = stop

    def stop_all(self):
        pass


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_lease_that_is_lost_while_a_run_is_judged_makes_no_task_look_deleted(is_lost):
    store, cleared = LosesLease(), []
    states = SimpleNamespace(clear=lambda resource, wait_s: cleared.append(resource.name))
    worker = Worker(store, SETTINGS, SimpleNamespace(load=NoLoad()), states, SystemClock())
    for resource in (FICTION, SHARD):
        store.txn([], [Put(KEYS.resource(resource.name), encode_resource(resource))])
    supervisor = Supervisor("test")
    worker.join(SimpleNamespace(node=ME, supervisor=supervisor))
    owned = worker._assignments._owned.values
    eventually(lambda: len(owned) == 2)
    store.txn([], [Delete(KEYS.resource(SHARD.name))])
    eventually(lambda: len(owned) == 1)
    worker._runs = runs = Stopping(SHARD, FICTION)
    if is_lost:
        store.lost = worker.leave
    worker._stop([SHARD.name, FICTION.name])
    gevent.sleep(0)
    assert runs.ends == [(SHARD.name, "deleted")]
    assert cleared == [SHARD.name]
    supervisor.stop()
    store.close()
