"""The history over HTTP and gRPC: the same answers, checked requests, and the bounds of tokens."""

import dataclasses

import pytest

from crawler.api.bounded import BoundedBackend
from crawler.errors import InvalidArgument, NotFound
from crawler.model.access import Caller, Role
from crawler.model.history import Event, Kind, Run, RunQuery, RunState, Step
from crawler.model.records import Counts
from tests.unit.api.fakes import CALL, FakeBackend, Master, body_of, client_of, running

COUNTS = Counts(3, 2, 1, 0.5)
BOUND = {"team": "a"}
ENDED = Event(
    *(1670841268798763000, Kind.ENDED, Step.ENDED, "x", "1602250527540776960", 4, 1, 2),
    state=RunState.DONE,
    worker="w-1",
    reason="it is over",
    who="ann",
    spider="books",
    labels=BOUND,
    counts=COUNTS,
    late=True,
    statistics={"pages": 3, "statuses": {"200": 3}, "seconds": 0.5},
)
ADDED = Event(5, Kind.ADDED, Step.ASKED, "x", "7", 0)
RUN = Run("x", "7", 4, 1, 2, RunState.DONE, "w-1", "books", 1, 2, 3, "over", "ann", COUNTS, BOUND)
RUN = dataclasses.replace(RUN, statistics=ENDED.statistics)


@pytest.fixture
def backend():
    backend = FakeBackend()
    backend.events, backend.known_runs = [ADDED, ENDED], [RUN]
    return backend


def test_grpc_tells_each_field_also_through_a_follower(backend):
    with running(Master(backend), Master()) as (leader, follower):
        follower.follow(leader.address)
        for master in (leader, follower):
            with client_of(master) as client:
                assert client.history("x", 100, CALL) == [ADDED, ENDED]
                assert client.history("x", 1, CALL) == [ENDED]
                assert client.runs(RunQuery(), CALL) == [RUN]
                assert client.runs(RunQuery(5, RunState.FAILED), CALL) == []


def test_http_tells_the_same(backend):
    web = Master(backend).web
    added, ended = body_of(web.get("/crawler/resource/x/history"))["events"]
    assert added["kind"] == "added"
    assert (ended["state"], ended["epoch"], ended["late"]) == ("done", "4", True)
    assert ended["counts"]["items"] == "2"
    assert ended["statistics"] == ENDED.statistics
    assert "statistics" not in added
    [run] = body_of(web.get("/crawler/runs?state=done&limit=5"))["runs"]
    assert (run["endedTime"], run["labels"], run["who"]) == ("3", BOUND, "ann")
    assert run["statistics"] == ENDED.statistics


@pytest.mark.parametrize(
    "path",
    ["resource/x/history?limit=0", "runs?limit=1001", "runs?state=odd", "runs?limit=x"],
)
def test_requests_are_checked(backend, path):
    assert Master(backend).web.get(f"/crawler/{path}").status_code == 400
    with running(Master(backend)) as [master], client_of(master) as client:
        wrong = pytest.raises(InvalidArgument)
        with wrong:
            client.runs(RunQuery(1001), CALL)


def test_a_bounded_caller_sees_only_what_was_within_its_bounds(backend):
    asked = []
    backend.runs = lambda query, call: asked.append(query) or []
    bounded = BoundedBackend(backend, Caller("ann", Role.VIEWER, BOUND))
    assert bounded.history("x", 100, CALL) == [ENDED]
    backend.events = [ENDED, ADDED]
    assert bounded.history("x", 1, CALL) == [ENDED], "others used the name since"
    bounded.runs(RunQuery(5), CALL)
    assert asked == [RunQuery(5, labels=BOUND)]
    backend.events = [ADDED, dataclasses.replace(ENDED, labels={"team": "b"})]
    with pytest.raises(NotFound):
        bounded.history("x", 100, CALL)
