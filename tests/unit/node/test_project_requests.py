"""Requests about projects, as the leader carries them out, and what etcd stores of them."""

import json
from types import SimpleNamespace

import pytest

from crawler.api.backend import Call
from crawler.clock import ManualClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.projects import Projects, decode_project, encode_project
from crawler.coordination.store import KeyValue, Put
from crawler.errors import Conflict, LeadershipLost, NotFound, WrongState
from crawler.model.projects import Project, Version
from crawler.model.records import Leadership, Spec, State
from crawler.node.master.draft import Draft
from crawler.node.master.project_requests import ProjectRequests
from crawler.settings.sections import CoordinationSettings
from tests.unit.node.scene import stored

KEYS = Keys(CoordinationSettings())
CALL = Call(20.0)
A, B, C, D = (letter * 64 for letter in "abcd")


class Leader:
    """What carries out the requests, on a store in memory."""

    def __init__(self, *tasks, keep=2):
        self.store, self.clock = MemoryStore(), ManualClock()
        self.tasks = {task.name: task for task in tasks}
        result = self.store.txn([], [Put("leader", b"1")])
        self.leadership = Leadership("leader", result.revision)
        self.projects = Projects(self.store, KEYS, self.clock)
        ctx = SimpleNamespace(
            projects=self.projects,
            clock=self.clock,
            leadership=self.leadership,
            mirrors=SimpleNamespace(all_resources=lambda: list(self.tasks.values())),
        )
        self.requests = ProjectRequests(ctx, self, keep, lambda task: task)

    def submit(self, command, call):
        """Take the place of the writer."""
        draft = Draft(self.tasks.get, lambda: 1, lambda: 99)
        command.apply(draft)
        self.tasks |= {change.name: change.after for change in draft.changes() if change.after}

    def deploy(self, digest, roll=False):
        version = Version(digest, by="ann", spiders=("books",))
        return self.requests.deploy("shop", version, roll, CALL)

    def digests(self):
        return [each.digest for each in self.projects.get("shop").versions]


@pytest.fixture
def leader():
    return Leader()


def of_project(name, digest=A, **more):
    spec = Spec(name, more.pop("spider", "books"), project="shop", bundle=more.pop("bundle", ""))
    return stored(name, spec=spec, digest=digest, **more)


def test_the_latest_bundle_is_the_current_one(leader):
    leader.clock.advance(5)
    first = leader.deploy(A).project
    assert (first.current, first.versions[0].by) == (A, "ann")
    assert first.versions[0].at_ns == leader.clock.time_ns()
    assert leader.deploy(B).project.current == B
    assert leader.digests() == [B, A]
    assert [view.project.name for view in leader.requests.all()] == ["shop"]


def test_the_current_bundle_deployed_again_changes_nothing(leader):
    before = leader.deploy(A).project
    leader.clock.advance(60)
    assert leader.deploy(A).project == before


def test_old_versions_go_but_not_those_that_tasks_use():
    leader = Leader(
        of_project("runs", A), of_project("pinned", B, bundle=B, state=State.DONE), keep=1
    )
    for digest in (A, B, C, D):
        leader.deploy(digest)
    assert leader.digests() == [D, B, A]
    leader.tasks["runs"] = leader.tasks["runs"].replace(state=State.DONE)
    leader.tasks.pop("pinned")
    leader.deploy(A)
    assert leader.digests() == [A]


def test_a_rollback_goes_to_the_version_before_or_to_one_that_is_named():
    leader = Leader(keep=5)
    for digest in (A, B, C):
        leader.deploy(digest)
    assert leader.requests.rollback("shop", "", False, CALL).project.current == B
    assert leader.requests.rollback("shop", "", False, CALL).project.current == A
    with pytest.raises(NotFound, match="no version before the current is kept of project shop"):
        leader.requests.rollback("shop", "", False, CALL)
    assert leader.requests.rollback("shop", C[:12], False, CALL).project.current == C
    with pytest.raises(NotFound, match="no version 'dddddddddddd' is kept of project shop"):
        leader.requests.rollback("shop", D[:12], False, CALL)
    with pytest.raises(NotFound, match="no project 'toys'"):
        leader.requests.rollback("toys", "", False, CALL)
    assert leader.projects.get("toys") is None


def test_runs_under_way_go_on_with_the_new_bundle_only_if_somebody_asks():
    tasks = [
        of_project("runs"),
        of_project("pinned", bundle=A),
        of_project("films", spider="films"),
        of_project("done", state=State.DONE),
        of_project("waits", "", owner=None, state=State.PENDING),
    ]
    leader = Leader(*tasks)
    assert leader.deploy(B).rolled == 0
    assert leader.tasks == {task.name: task for task in tasks}
    assert leader.deploy(B, roll=True).rolled == 1
    rolled = leader.tasks.pop("runs")
    assert (rolled.digest, rolled.epoch, rolled.generation) == (B, 4, 0)
    assert leader.tasks == {task.name: task for task in tasks[1:]}


def test_a_project_goes_when_no_unfinished_task_names_it():
    leader = Leader(of_project("runs"))
    leader.deploy(A)
    with pytest.raises(WrongState, match="project shop: task 'runs' is running and names it"):
        leader.requests.remove("shop")
    leader.tasks["runs"] = leader.tasks["runs"].replace(state=State.DONE)
    leader.requests.remove("shop")
    assert leader.requests.all() == []
    with pytest.raises(NotFound, match="no project 'shop'"):
        leader.requests.get("shop")


def test_of_two_deployments_at_one_moment_none_is_lost(leader, monkeypatch):
    leader.deploy(A)
    put, meanwhile = leader.projects.put, [B]

    def late(leadership, project):
        if meanwhile:
            meanwhile.pop()
            leader.deploy(B)
        return put(leadership, project)

    monkeypatch.setattr(leader.projects, "put", late)
    leader.requests = ProjectRequests(leader.requests._ctx, leader, 5, lambda task: task)
    leader.deploy(C)
    assert leader.digests() == [C, B, A]


def test_who_leads_no_more_stores_nothing(leader):
    leader.deploy(A)
    leader.store.txn([], [Put("leader", b"2")])
    old = Leadership("leader", 1000)
    with pytest.raises(LeadershipLost):
        leader.projects.put(old, leader.projects.get("shop"))
    with pytest.raises((Conflict, LeadershipLost)):
        leader.projects.remove(old, Project("shop"))


# -- in etcd ---

SHOP = Project("shop", A, (Version(A, 5, "ann", 9, ("books",), 3), Version(B)), {"team": "a"}, 1)


def decoded(value, name="shop"):
    return decode_project(KEYS, KeyValue(KEYS.project(name), value, 1, 1))


def test_a_project_comes_back_as_it_was():
    assert decoded(encode_project(SHOP)) == SHOP
    value = json.loads(encode_project(SHOP))
    assert list(value) == ["name", "current", "versions", "labels"]
    assert decode_project(KEYS, KeyValue("/crawler/projects/a/b", b"{}", 1, 1)) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "toys"}, "name is 'toys', but the key says 'shop'"),
        ({"current": C}, "current is 'ccc"),
        ({"current": 1}, "current is 1"),
        ({"versions": [1]}, "versions has 1; JSON objects are allowed"),
        ({"versions": [{"digest": "x"}]}, "digest is 'x'; the 64 hexadecimal digits"),
        ({"versions": [{"digest": A, "spiders": [1]}]}, r"spiders is \[1\], not a list of text"),
        ({"labels": {"a": 1}}, "labels are no map of text to text"),
    ],
)
def test_a_project_that_cannot_be_is_told_with_its_field(change, told):
    value = json.loads(encode_project(SHOP)) | change
    with pytest.raises(ValueError, match=told):
        decoded(json.dumps(value).encode())
