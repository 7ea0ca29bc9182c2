"""How a master puts the statistics of a task together from what the workers have."""

import json

import pytest

from crawler.api.backend import Call, Page
from crawler.api.bounded import BoundedBackend
from crawler.api.task_statistics import REMOVED, TaskCounts
from crawler.clock import ManualClock
from crawler.errors import NotFound, Unavailable
from crawler.model.access import Caller, Role
from crawler.model.records import Owner, Resource, Spec, State
from crawler.model.shards import shard_spec
from crawler.model.statistics import HostLoad, Statistics
from crawler.model.task_statistics import CrawlPart
from tests.unit.api.fakes import FakeBackend, Master, body_of, client_of, running

CALL = Call(20.0)
SPEC = Spec("shop", "books", workers=3)
NOW_NS = 1_700_000_000_000_000_000


class Backend:
    """A leader that knows one task and its shards."""

    def __init__(self, head, *shards):
        self.head, self.shards = head, shards

    def get(self, name, call):
        if name != self.head.name:
            raise NotFound("no such task")
        return self.head

    def list(self, query, call):
        return Page(self.shards, "", len(self.shards))


class Worker:
    """The statistics of the crawls of a worker. A question takes it a second."""

    def __init__(self, clock, *found):
        self.clock, self.found = clock, {each.task: each for each in found}
        self.closed = 0

    def statistics(self, name, call):
        self.clock.advance(1.0)
        if name not in self.found:
            raise NotFound(f"no statistics of task {name!r} here; it did not run here lately")
        return self.found[name]

    def close(self):
        self.closed += 1


class Silent(Worker):
    def statistics(self, name, call):
        raise Unavailable("it sleeps")


@pytest.fixture
def clock():
    return ManualClock(NOW_NS)


def resource(spec=SPEC, node="w-1", state=State.RUNNING, **fields):
    owner = Owner(node, node) if node else None
    return Resource(spec, id="7", owner=owner, state=state, **fields)


def whole(backend, clock, name="shop", **workers):
    reach = {key.replace("_", "-"): worker for key, worker in workers.items()}.__getitem__
    return TaskCounts(lambda call: backend, reach, name, CALL, clock).whole()


def test_all_crawls_are_told_together_and_each_with_its_worker_and_its_age(clock):
    head = Statistics("shop", "books", pages=3, task_id="7", statuses={200: 3})
    shard = Statistics("shop~1", "books", pages=4, task_id="7", statuses={200: 3, 503: 1})
    one, other = Worker(clock, head), Worker(clock, shard)
    backend = Backend(resource(), resource(shard_spec(SPEC, 1), "w-2"))
    found = whole(backend, clock, w_1=one, w_2=other)
    assert (found.name, found.statistics.pages) == ("shop", 7)
    assert found.statistics.statuses == {200: 6, 503: 1}
    assert found.parts == [
        CrawlPart("shop", "w-1", head, 2.0),
        CrawlPart("shop~1", "w-2", shard, 1.0),
    ]
    assert found.workers == {"w-1": 1, "w-2": 1}
    assert (one.closed, other.closed) == (1, 1)


def test_what_the_head_knows_counts_for_a_silent_worker_and_for_a_shard_that_is_gone(clock):
    known = {
        n: Statistics(f"shop~{n}", "books", pages=n, counted_ns=NOW_NS - 5 * 10**9) for n in (1, 2)
    }
    head = Statistics("shop", "books", pages=10, shards=known)
    backend = Backend(resource(), resource(shard_spec(SPEC, 1), "w-2"))
    found = whole(backend, clock, w_1=Worker(clock, head), w_2=Silent(clock))
    assert found.statistics.pages == 13
    assert not found.statistics.shards
    silent, gone = found.parts[1:]
    assert (silent.node, silent.silent, silent.of_head) == ("w-2", True, True)
    assert (silent.note, silent.age_s, silent.statistics) == ("it sleeps", 6.0, known[1])
    assert (gone.name, gone.node, gone.silent, gone.note) == ("shop~2", "", False, REMOVED)
    assert gone.statistics == known[2]


def test_what_an_earlier_version_kept_has_no_known_age(clock):
    head = Statistics("shop", "books", shards={1: Statistics("shop~1", "books", pages=1)})
    found = whole(Backend(resource()), clock, w_1=Worker(clock, head))
    assert found.parts[1].age_s is None


def test_while_the_head_is_silent_no_shard_stands_for_it(clock):
    ended = Statistics("shop~1", "books", pages=21, ended_ns=9, finish_reason="finished")
    backend = Backend(resource(), resource(shard_spec(SPEC, 1), "w-2"))
    found = whole(backend, clock, w_1=Silent(clock), w_2=Worker(clock, ended))
    told = found.statistics
    assert (told.task, told.finish_reason, told.pages) == ("shop", "", 21)
    assert found.parts[0] == CrawlPart("shop", "w-1", silent=True, note="it sleeps")


@pytest.mark.parametrize(
    ("about", "note"),
    [
        ({"node": "", "state": State.PENDING, "reason": "no worker is up"}, "no worker is up"),
        ({"state": State.ASSIGNED}, "the crawl of shop has not begun yet"),
        ({}, "it did not run here lately"),
        ({"state": State.FAILED, "reason": "no spider"}, "lately; the task is failed: no spider"),
    ],
    ids=["pending", "assigned", "running", "failed"],
)
def test_why_there_are_none_is_told(clock, about, note):
    found = whole(Backend(resource(Spec("shop"), **about)), clock, w_1=Worker(clock))
    assert found.statistics is None
    [part] = found.parts
    assert part.note.endswith(note)
    assert not part.silent


def test_an_earlier_task_of_the_same_name_is_another_one(clock):
    before = Statistics("shop", "books", pages=9, task_id="6")
    found = whole(Backend(resource(Spec("shop"))), clock, w_1=Worker(clock, before))
    assert (found.statistics, found.parts[0].statistics) == (None, None)


def test_a_caller_sees_the_tasks_within_its_bounds_alone(clock):
    worker = Worker(clock, Statistics("shop", "books", pages=9))
    leader = Backend(resource(Spec("shop", labels={"team": "x"})))

    def pages(team):
        caller = Caller("c", Role.VIEWER, {"team": team})
        call = Call(20.0, caller=caller)
        bounded = BoundedBackend(leader, caller)
        found = TaskCounts(lambda call: bounded, lambda address: worker, "shop", call, clock)
        return found.whole().statistics.pages

    assert pages("x") == 9
    with pytest.raises(NotFound, match="no such task"):
        pages("y")


TOLD = Statistics(
    "shop",
    "books",
    pages=3,
    pages_per_s=1.5,
    task_id="7",
    statuses={200: 3},
    hosts={"a.example": HostLoad(2, 1, 3.5, 0.5, lease="held")},
    pending_hosts=4,
    counted_ns=2**40,
)


def test_grpc_and_http_of_any_master_tell_the_same(clock):
    leader = FakeBackend()
    leader.resources["shop"] = resource(Spec("shop"))
    worker = Worker(clock, TOLD)
    masters = [Master(leader, reach=lambda address: worker), Master(reach=lambda address: worker)]
    with running(*masters):
        masters[1].follow(masters[0].address)
        for master in masters:
            with client_of(master) as client:
                found = client.task_statistics("shop", CALL)
                with pytest.raises(NotFound):
                    client.task_statistics("nothing", CALL)
            assert (found.name, found.statistics) == ("shop", TOLD)
            [part] = found.parts
            assert (part.name, part.node, part.statistics) == ("shop", "w-1", TOLD)
            assert part.age_s is not None
            told = body_of(master.web.get("/crawler/resource/shop/statistics"))
            assert told["statistics"] == json.loads(json.dumps(TOLD.to_json()))
            [part] = told["parts"]
            assert part.pop("ageS") >= 0.0
            assert part.pop("statistics") == told["statistics"]
            assert part == {
                **{"name": "shop", "node": "w-1"},
                **{"ofHead": False, "silent": False, "note": ""},
            }
            assert master.web.get("/crawler/resource/nothing/statistics").status_code == 404
