"""A run whose project is rolled goes on with its code until its worker has the new one."""

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import gevent
import pytest
from gevent.event import Event

from crawler.clock import SystemClock
from crawler.coordination.codec import encode_resource
from crawler.coordination.keys import WORKER, Keys
from crawler.coordination.lease import Lease
from crawler.coordination.memory import MemoryStore
from crawler.coordination.registry import Registry
from crawler.coordination.store import Put
from crawler.model.records import Owner, Resource, Spec, State
from crawler.node.crew.crew_load import NoLoad
from crawler.node.membership.membership import Session
from crawler.node.run.run import Run
from crawler.node.worker.reconcile import is_rolled
from crawler.node.worker.worker import Worker
from crawler.settings.sections import CoordinationSettings, Settings
from crawler.supervision import Supervisor
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
FIRST, SECOND = "a" * 64, "b" * 64


class Crawling(Run):
    """A run that goes on until it is stopped, or until it has ended."""

    can_go_on = is_ending = False

    def __init__(self, resource):
        super().__init__(resource)
        self.over = Event()

    def execute(self):
        self._state = State.RUNNING
        with suppress(gevent.GreenletExit):
            self.over.wait()

    def finish(self):
        self._state = State.DONE
        self.over.set()

    def stop(self):
        self.stops += 1
        self.over.set()

    break_off = stop

    def end_files(self, how=""):
        pass


class Crew:
    """A crew that crawls nothing."""

    load = NoLoad()
    has_processes = False

    def __init__(self):
        self.runs = []

    def spider_names(self):
        return frozenset()

    def start(self):
        pass

    def task_in_callback(self):
        return ""

    def run(self, resource):
        self.runs.append(Crawling(resource))
        return self.runs[-1]

    def execute(self, run):
        run.execute()

    def end(self, runs):
        return ()


class States:
    """States of which there are none."""

    def look(self):
        pass

    def drop_unused(self, keep_s):
        pass

    def close(self):
        pass


class Bundles:
    """The bundles of a worker, which has the first one."""

    def __init__(self):
        self.ready = {FIRST}
        self.asked = set()

    def start(self, supervisor):
        pass

    def spiders(self):
        return frozenset()

    def metadata(self):
        return {}

    def awaits(self, digest):
        self.asked.add(digest)
        return digest not in self.ready

    def have(self, digest):
        self.ready.add(digest)
        self.on_ready()


@pytest.fixture
def place(tmp_path):
    """A worker that is a member, and runs a task with the first bundle."""
    store, crew, bundles, supervisor = (
        MemoryStore(SystemClock()),
        Crew(),
        Bundles(),
        Supervisor("t"),
    )
    settings = Settings(folder=str(tmp_path))
    worker = Worker(store, settings, crew, States(), SystemClock(), bundles=bundles)
    lease = Lease.grant(store, 60, SystemClock())
    node = Registry(store, KEYS, WORKER).register(worker.describe("w-1", "h:1"), lease)
    worker.start(supervisor)
    worker.join(Session("1", node, lease, supervisor))
    task = Resource(Spec("t", "books", project="shop"), id="7", digest=FIRST).given_to(
        Owner("w-1", "h:1", node.incarnation), 1, 5
    )
    found = SimpleNamespace(store=store, crew=crew, bundles=bundles, task=task)
    found.put = lambda task: store.txn([], [Put(KEYS.resource("t"), encode_resource(task))])
    found.runs = lambda: [(run.resource.epoch, run.stops > 0) for run in crew.runs]
    found.put(task)
    eventually(lambda: crew.runs and not crew.runs[0].waits, what="it runs")
    yield found
    supervisor.stop()
    worker.leave()
    store.close()


def rolled(task, epoch=2, **changes):
    return replace(task.given_to(task.owner, epoch, 6), digest=SECOND, **changes)


def test_a_run_goes_on_with_its_code_until_the_new_one_is_ready(place):
    place.put(rolled(place.task))
    eventually(lambda: place.bundles.asked == {SECOND})
    assert place.runs() == [(1, False)]
    place.bundles.have(SECOND)
    eventually(lambda: place.runs() == [(1, True), (2, False)], what="it goes on with the new code")


def test_a_task_that_is_taken_away_stops_though_its_new_code_is_not_ready(place):
    place.put(rolled(place.task))
    eventually(lambda: place.bundles.asked == {SECOND})
    place.put(replace(rolled(place.task), owner=None, state=State.PENDING))
    eventually(lambda: place.runs() == [(1, True)], what="it is stopped")


def test_a_run_that_ends_meanwhile_does_not_hold_up_the_next_one(place):
    place.put(rolled(place.task))
    eventually(lambda: place.bundles.asked == {SECOND})
    place.crew.runs[0].finish()
    eventually(lambda: [epoch for epoch, _ in place.runs()] == [1, 2], what="the next one begins")


@pytest.mark.parametrize(
    ("changes", "is_it"),
    [
        ({}, True),
        ({"epoch": 3}, False),
        ({"id": "8"}, False),
        ({"generation": 1}, False),
        ({"digest": FIRST}, False),
        ({"digest": ""}, False),
    ],
)
def test_only_the_very_next_run_of_the_same_crawl_with_other_code_is_a_rolled_one(changes, is_it):
    owner = Owner("w-1", "h:1", 3)
    run = Resource(Spec("t", project="shop"), id="7", digest=FIRST).given_to(owner, 1, 5)
    desired = replace(run, epoch=2, digest=SECOND)
    assert is_rolled(run, replace(desired, **changes)) is is_it
