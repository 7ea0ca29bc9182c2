"""What validates the engine's state after each test notices when it is wrong."""

import gevent
import pytest

from crawler.clock import ManualClock, settle
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.http.request import Request
from crawler.engine.politeness.host import HostTerms
from crawler.engine.politeness.host_register import MemoryHostRegister
from crawler.engine.politeness.hosts import Hosts
from crawler.settings.crawl import CrawlSettings
from tests.engine_state import Known, of_host_owner
from tests.unit.engine.fakes import FakeFetcher, crawl_of, shared
from tests.unit.engine.test_checkpoints import Hidden, World
from tests.unit.engine.test_crawl import spider_of


@pytest.fixture
def _validated():
    """Here it is wrong on purpose."""


@pytest.fixture
def known():
    """What a crawl is made of that waits: two hosts have a request in flight each, and their sites
    further ones that wait for their turn."""
    known = Known()
    with pytest.MonkeyPatch.context() as patch:
        known.watch(patch)
        clock = ManualClock()
        fetcher = FakeFetcher(clock, lambda call: None)
        urls = [f"http://{host}/{n}" for host in "ab" for n in range(3)]
        known.crawl = crawl_of(spider_of(urls), shared(fetcher, clock), host_concurrency=1)
    running = gevent.spawn(known.crawl.run)
    settle()
    assert known.crawl._dispatcher.under_way == 2
    yield known
    running.kill()


def test_a_sound_state_has_no_faults(known):
    assert known.faults() == []
    known.crawl.stop()
    settle()
    assert known.crawl.ended.is_set()
    assert known.faults() == []


def queue_of(crawl):
    return crawl._frontier.sites()[0]


def host_of(crawl):
    return next(iter(crawl._context.shared.hosts._hosts.values()))


def park(crawl):
    for host in crawl._context.shared.hosts._hosts.values():
        host.waiting.clear()


def disorder(crawl):
    queue_of(crawl).jobs.sort(reverse=True)


def change(of, name, by):
    def changed(crawl):
        part = of(crawl)
        setattr(part, name, getattr(part, name) + by)

    return changed


WRONG = {
    "slots in use, for": change(lambda c: c._dispatcher._slots, "busy", 2),
    "set aside of": change(lambda c: c._dispatcher._slots, "_aside", 3),
    "held, 4 in its queues": change(lambda c: c._frontier._queues, "_held", 1),
    "are leaving": change(lambda c: c._frontier._queues, "_leaving_size", 1),
    "requests on their way, it has 2": change(queue_of, "busy", 2),
    "is no heap": disorder,
    "stands nowhere": lambda crawl: setattr(queue_of(crawl), "due_s", 1.0),
    "nothing will wake": park,
    "in flight, its crawls": change(host_of, "in_flight", 1),
    "lets 6 in at once": change(host_of, "limit", 5),
    "-1 bytes held": change(lambda c: c._context.shared.held, "held", -1),
    "in the table": change(lambda c: c._frontier._seen, "_size", 1),
    "requests have no end": change(lambda c: c.counters, "discovered", 2),
    "items taken": change(lambda c: c.counters, "items_taken", 2),
}


@pytest.mark.parametrize("fault", WRONG)
def test_each_wrong_state_is_a_fault(known, fault):
    WRONG[fault](known.crawl)
    assert any(fault in found for found in known.faults())


def test_of_a_crawl_that_has_ended_nothing_is_left(known):
    known.crawl.stop()
    settle()
    known.crawl._context.shared.held.take(5)
    assert known.faults() == ["shared: 5 bytes held, 0 are there"]


def test_what_is_said_to_be_on_disk_is_there():
    known = Known()
    with pytest.MonkeyPatch.context() as patch:
        known.watch(patch)
        frontier = Frontier(CrawlSettings(max_pending=100), lambda: 0.0)
    for number in range(600):
        frontier.admit(Request(f"http://h/{number}"), 0)
    assert frontier.memory()["on_disk"]
    assert known.faults() == []
    frontier._queues._disk_queue.size += 1
    assert any("on disk" in fault for fault in known.faults())
    frontier.close()


@pytest.fixture
def kept():
    """A crawl with a store, in its middle: pages wait for requests that cannot be written down."""
    known = Known()
    with pytest.MonkeyPatch.context() as patch:
        known.watch(patch)
        world = World(Hidden)
        known.crawl = world.begin()
    world.until(lambda: journal_of(known.crawl)._parents and known.crawl._dispatcher.in_flight)
    yield known
    world.kill()


def journal_of(crawl):
    return crawl._dispatcher._journal


def end_what_waits(crawl):
    journal = journal_of(crawl)
    journal._ended.append(next(iter(journal._unwritten)))


def change_twice(crawl):
    journal = journal_of(crawl)
    journal._added[-1] = journal._changed[-1] = None


WRONG_STEPS = {
    "have an end, and wait": end_what_waits,
    "are new, and have changed": change_twice,
    "pages wait for": lambda crawl: journal_of(crawl)._unwritten.clear(),
    "fingerprints kept back": change(lambda crawl: journal_of(crawl).seen, "held", 1),
    "the store does not learn of it": lambda crawl: journal_of(crawl)._in_flight.clear(),
}


@pytest.mark.parametrize("fault", WRONG_STEPS)
def test_each_wrong_note_for_the_store_is_a_fault(kept, fault):
    assert kept.faults() == []
    WRONG_STEPS[fault](kept.crawl)
    assert any(fault in found for found in kept.faults())


class Somebody:
    """A crawl that has something to send to a host."""

    def __init__(self, host):
        self.host = host

    def wake(self):
        pass


@pytest.fixture
def owner():
    """A worker that owns a host and wants another, which another worker owns."""
    clock = ManualClock()
    register = MemoryHostRegister(clock)
    for name, wanted in (("other", "b"), ("worker", "ab")):
        hosts = Hosts(clock)
        owner = hosts.share(register, name)
        for host in wanted:
            crawl = Somebody(host)
            hosts.join(crawl, HostTerms(1.0, host_concurrency=1))
            hosts.take(crawl)
        owner.tend()
        owner.tend()
    assert (owner._tenures.keys(), owner._wishes.keys()) == ({"a"}, {"b"})
    return owner


WRONG_OWNERS = {
    "are owned and wanted": lambda owner: owner._wishes.update(a=0.0),
    "end, the list has": lambda owner: owner._ending.update(a=None),
    "others want": lambda owner: owner._sought.update(b=None),
    "says that it has": lambda owner: owner._holds.update(b=None),
    "says that it wants": lambda owner: owner._new_wishes.update(a=None),
}


@pytest.mark.parametrize("fault", WRONG_OWNERS)
def test_each_wrong_owner_of_hosts_is_a_fault(owner, fault):
    assert list(of_host_owner(owner)) == []
    WRONG_OWNERS[fault](owner)
    assert any(fault in found for found in of_host_owner(owner))
