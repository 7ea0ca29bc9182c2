"""What a leader keeps between its passes: who waits, who comes back when."""

import pytest

from crawler.model.constraints import Constraints
from crawler.model.records import Report, Spec, State
from crawler.node.master import placement, retries
from crawler.node.master.commands import Add, Record
from tests.unit.node.scene import W1, W2, Scene, worker

# -- passes ----------------------------------------------------------------------------------------


def test_a_pass_looks_at_nothing_that_did_not_change(monkeypatch):
    scene = Scene(workers=[W1, W2])
    scene.add(*(Spec(f"t{n}") for n in range(50)))
    scene.settle()
    scene.add(Spec("new"))
    looked = []
    monkeypatch.setattr(
        placement, "needs_owner", lambda r, w: looked.append(r.name) or r.owner is None
    )
    scene.settle()
    assert set(looked) == {"new"}


def test_a_pass_that_is_full_leaves_the_rest_to_the_next(monkeypatch):
    monkeypatch.setattr(placement, "PASS", 3)
    scene = Scene()
    scene.add(*(Spec(f"t{n}") for n in range(7)))
    draft, placed = scene.place()
    assert placed.more
    assert [change.after.owner is not None for change in draft.changes()] == [True] * 3
    scene = Scene()
    scene.add(*(Spec(f"t{n}") for n in range(7)))
    assert set(scene.settle().values()) == {"w-1"}


def test_what_was_asked_for_and_has_to_wait_its_turn_says_so(monkeypatch):
    monkeypatch.setattr(placement, "PASS", 1)
    scene = Scene()
    draft = scene.draft()
    for name in ("first", "second"):
        Add(Spec(name)).apply(draft)
    scene.place(draft)
    reasons = {change.name: change.after.reason for change in draft.changes()}
    assert reasons == {"first": "", "second": placement.NOT_YET}


def test_what_was_not_committed_is_taken_back():
    scene = Scene(workers=[W1, W2])
    scene.add(*(Spec(f"t{n}") for n in range(4)))
    draft, _ = scene.place()
    assert [scene.cluster_state.candidates[id].unfinished for id in ("w-1", "w-2")] == [2, 2]
    for name in draft.names:
        scene.cluster_state.see(name, scene.stored[name])
    assert [scene.cluster_state.candidates[id].unfinished for id in ("w-1", "w-2")] == [0, 0]
    assert sorted(scene.settle().values()) == ["w-1", "w-1", "w-2", "w-2"]


# -- workers that shall have no tasks --------------------------------------------------------------


def test_a_cordoned_worker_loses_its_tasks_and_gets_none_until_it_is_allowed():
    scene = Scene(workers=[W1, W2])
    scene.add(*(Spec(f"t{n}") for n in range(4)))
    scene.settle()
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    assert set(scene.settle().values()) == {"w-2"}
    scene.add(Spec("more"))
    assert scene.settle()["more"] == "w-2"
    scene.cluster_state.workers.cordon(frozenset())
    scene.add(Spec("last"))
    assert scene.settle()["last"] == "w-1"


def test_tasks_of_a_cordoned_worker_stay_while_no_other_suits():
    scene = Scene()
    scene.add(Spec("a"))
    scene.settle()
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    assert scene.settle() == {"a": "w-1"}
    scene.join(W2)
    assert scene.settle() == {"a": "w-2"}


# -- what cannot be placed -------------------------------------------------------------------------


def test_what_is_parked_is_placed_when_room_comes_free():
    scene = Scene(workers=[worker(1, capacity={"slots": 1})])
    asks = Constraints(requests=(("slots", 1.0),))
    scene.add(Spec("a", constraints=asks), Spec("b", constraints=asks))
    owners = scene.settle()
    [waits] = [name for name, owner in owners.items() if owner is None]
    [runs] = [name for name, owner in owners.items() if owner]
    assert "slots" in scene.stored[waits].reason
    scene.store(scene.stored[runs].replace(state=State.DONE))
    assert scene.settle()[waits] == "w-1"


def test_an_event_that_cannot_help_tries_nothing(monkeypatch):
    scene = Scene(workers=[W1])
    scene.add(Spec("a", constraints=Constraints(node="w-7")))
    scene.settle()
    [queue] = scene.placer.backlog.parked
    woken = []
    monkeypatch.setattr(scene.placer.backlog, "wake", woken.append)
    scene.add(Spec("b"))
    scene.join(worker(3))
    scene.settle()
    assert woken == []
    scene.join(worker(7))
    scene.settle()
    assert woken == [queue]


# -- tries again -----------------------------------------------------------------------------------


def fails(scene, name):
    """The worker of a task reports that its run failed."""
    task = scene.stored[name]
    draft = scene.draft()
    report = Report(name, task.id, task.epoch, State.FAILED, "no luck")
    Record(task.owner.node_id, [report]).apply(draft)
    for change in draft.changes():
        scene.store(change.after)


def test_a_failed_run_is_tried_again_elsewhere_after_a_pause_that_grows():
    scene = Scene(workers=[W1, W2])
    scene.add(Spec("a", retries=2))
    first = scene.settle()["a"]
    fails(scene, "a")
    assert scene.settle() == {"a": None}
    assert "no luck" in scene.stored["a"].reason
    scene.now_s += scene.placer.idle_s(scene.now_s)
    second = scene.settle()["a"]
    assert {first, second} == {"w-1", "w-2"}
    fails(scene, "a")
    scene.settle()
    assert scene.placer.idle_s(scene.now_s) == pytest.approx(2 * retries.RETRY_S)
    scene.now_s += scene.placer.idle_s(scene.now_s)
    assert scene.settle()["a"] in ("w-1", "w-2"), "it failed on both"
    fails(scene, "a")
    assert scene.stored["a"].state is State.FAILED


def test_without_retries_a_failure_is_the_end():
    scene = Scene()
    scene.add(Spec("a"))
    scene.settle()
    fails(scene, "a")
    assert scene.stored["a"].state is State.FAILED
