"""What becomes of tasks whose runs were interrupted: the process is gone, the worker lives."""

import pytest

from crawler.coordination.codec import decode_resource, encode_resource
from crawler.coordination.stored import MOST_KILLS
from crawler.model.records import Blame, Counts, Interruption, Report, Spec, State
from crawler.model.shards import shard_spec
from crawler.node.master.commands import Again, Record, Update
from crawler.node.master.explain import waits_for
from crawler.node.master.poison import deaths_of
from tests.unit.node.scene import W1, W2, Scene, back, stored

KILLED = "process 123 was killed (memory)"
TOLD = f"interrupted at w-1: {KILLED}"


def interrupts(scene, name="a", charged=False, **fields):
    """A worker reports that its run of a task was interrupted, and a pass follows."""
    task = scene.stored[name]
    given = {"counts": Counts(4, 3, 2, 1.0), **fields}
    report = Report(
        name, task.id, task.epoch, State.FAILED, KILLED, interrupted=True, charged=charged, **given
    )
    return hears(scene, task.owner.node_id, report)


def hears(scene, node_id, *reports):
    draft = scene.draft()
    Record(node_id, reports, acquitted_after_s=300.0).apply(draft)
    scene.place(draft)
    for change in draft.changes():
        scene.store(change.after)
    return draft


def at_work(scene, name="a", **fields):
    """A task that was given to the first worker just now."""
    given_ns = int(scene.now_s * 1e9)
    scene.store(stored(name, W1, assigned_time=given_ns, **fields))


@pytest.fixture
def scene(monkeypatch):
    """One worker; the clock of the drafts is that of the scene."""
    made = Scene(workers=[W1])
    draft = Scene.draft

    def timed(self):
        found = draft(self)
        found.now_ns = lambda: int(self.now_s * 1e9)
        return found

    monkeypatch.setattr(Scene, "draft", timed)
    return made


def test_an_interrupted_task_is_placed_in_the_same_pass_in_the_next_epoch(scene):
    at_work(scene, epoch=3)
    interrupts(scene)
    task = scene.stored["a"]
    assert (task.owner.node_id, task.epoch, task.state) == ("w-1", 4, State.ASSIGNED)
    assert (task.kills, task.failed_on, task.id, task.generation) == (0, (), "1", 0)


def test_an_interruption_spends_no_retry_and_does_not_wait_for_an_earlier_failure(scene):
    at_work(scene, spec=Spec("a", retries=2), failed_on=("w-2",))
    interrupts(scene)
    assert scene.stored["a"].failed_on == ("w-2",)
    assert scene.owners() == {"a": "w-1"}, "at once"
    hears(scene, "w-1", Report("a", "1", scene.stored["a"].epoch, State.FAILED, "no"))
    assert scene.stored["a"].failed_on == ("w-2", "w-1")
    assert not scene.stored["a"].interruption.reason, "its last run failed"


def test_without_a_worker_that_takes_it_it_waits_with_its_counts(scene):
    at_work(scene)
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    interrupts(scene)
    task = scene.stored["a"]
    assert (task.owner, task.state, task.counts.pages) == (None, State.PENDING, 4)
    assert (
        task.told_reason == "no worker takes tasks at present: they are cordoned or about to leave"
    )
    scene.cluster_state.workers.cordon(frozenset())
    assert scene.settle() == {"a": "w-1"}
    assert scene.stored["a"].told_reason == f"{TOLD}; placed again"


def test_a_report_that_comes_twice_changes_nothing_the_second_time(scene):
    at_work(scene, epoch=3)
    report = Report("a", "1", 3, State.FAILED, KILLED, interrupted=True, charged=True)
    hears(scene, "w-1", report, report)
    once = scene.stored["a"]
    assert (once.epoch, once.kills) == (4, 1)
    assert not hears(scene, "w-1", report).changes()
    assert scene.stored["a"] == once


@pytest.mark.parametrize(
    ("node_id", "about"),
    [("w-1", {"epoch": 2}), ("w-1", {"id": "2"}), ("w-2", {"epoch": 3})],
    ids=["an earlier epoch", "an earlier task", "another worker"],
)
def test_a_report_of_another_run_changes_nothing(scene, node_id, about):
    at_work(scene, epoch=3)
    told = {"name": "a", "id": "1", "epoch": 3, "state": State.FAILED, **about}
    assert not hears(scene, node_id, Report(**told, interrupted=True, charged=True)).changes()


@pytest.mark.parametrize("state", [State.DONE, State.FAILED])
def test_a_task_that_is_over_stays_so(scene, state):
    at_work(scene, state=state)
    assert not interrupts(scene, charged=True).changes()


def test_an_interruption_that_is_not_charged_never_parks_a_task(scene):
    at_work(scene)
    for _ in range(50):
        interrupts(scene)
        scene.now_s += 60.0
        assert scene.settle() == {"a": "w-1"}
    assert (scene.stored["a"].kills, scene.stored["a"].blame) == (0, Blame())


def test_charged_ones_park_it_after_as_many_as_workers_would_and_it_is_said_of_whom(scene):
    at_work(scene)
    for kills in (1, 2):
        interrupts(scene, charged=True)
        assert (scene.owners()["a"], scene.stored["a"].kills) == ("w-1", kills)
        scene.now_s += 30.0
    interrupts(scene, charged=True)
    task = scene.stored["a"]
    assert (task.owner, task.kills, task.blame.parkings) == (None, 3, 1)
    assert task.reason.startswith("parked: 3 processes died of it; it is tried again at ")
    assert told(scene) == "60.0 s to pass: 3 processes died of it"
    scene.now_s += 60.0
    assert scene.settle() == {"a": "w-1"}


def test_after_the_pause_one_more_parks_it_for_twice_as_long_and_others_do_not(scene):
    at_work(scene, kills=3, blame=Blame(parkings=1, until=1, processes=3))
    interrupts(scene)
    assert scene.owners() == {"a": "w-1"}, "it is not charged"
    interrupts(scene, charged=True)
    assert scene.owners() == {"a": None}
    assert scene.placer.parked_s("a", scene.now_s) == 120.0


def test_processes_and_workers_count_together_and_are_told_apart(scene):
    at_work(scene)
    scene.join(W2)
    interrupts(scene, charged=True)
    owner = scene.stored["a"].owner.node_id
    scene.leave(owner)
    scene.now_s += 10.0
    scene.settle()
    task = scene.stored["a"]
    assert (task.kills, task.blame.processes) == (2, 1)
    assert (
        deaths_of(task) == "1 worker died soon after they were given it, and 1 process died of it"
    )
    scene.join(back({"w-1": W1, "w-2": W2}[owner], 30))
    scene.settle()
    assert scene.stored["a"].kills == 1, "the worker did not die; the process did"


def test_a_long_run_acquits_of_what_was_before_it(scene):
    at_work(scene, kills=2, blame=Blame(parkings=1, until=1, processes=2))
    scene.now_s += 300.0
    interrupts(scene, charged=True)
    assert scene.stored["a"].kills == 1
    assert scene.stored["a"].blame == Blame(processes=1)


def test_the_count_ends_where_it_can_still_be_stored(scene):
    most = MOST_KILLS
    at_work(
        scene,
        kills=most,
        blame=Blame(processes=most),
        interruption=Interruption("x", in_a_row=most),
    )
    interrupts(scene, charged=True)
    task = scene.stored["a"]
    assert decode_resource("a", encode_resource(task), task.mod_revision) == task


def test_one_that_is_interrupted_again_and_again_waits_a_little_longer_each_time(scene):
    at_work(scene)
    pauses = []
    for _ in range(12):
        interrupts(scene)
        pauses.append(scene.placer.tries_again_s("a", scene.now_s))
        scene = paused_over(scene)
    assert pauses == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def paused_over(scene):
    scene.now_s += scene.placer.tries_again_s("a", scene.now_s)
    assert scene.settle() == {"a": "w-1"}
    return scene


def test_the_pause_is_explained_and_an_update_ends_it(scene):
    at_work(scene, interruption=Interruption(TOLD, in_a_row=3))
    interrupts(scene)
    assert scene.stored["a"].told_reason == TOLD
    assert told(scene) == "1.0 s to pass: its last 4 runs were interrupted"
    draft = scene.draft()
    Update(Spec("a", priority=1)).apply(draft)
    scene.place(draft)
    [change] = draft.changes()
    assert change.after.owner.node_id == "w-1"


def told(scene):
    now_s = scene.now_s
    return waits_for(scene.placer, scene.cluster_state, scene.stored["a"], now_s)


def test_a_run_that_went_on_for_a_while_is_the_first_of_its_row_again(scene):
    at_work(scene, interruption=Interruption(TOLD, in_a_row=9))
    scene.now_s += 20.0
    interrupts(scene)
    assert scene.stored["a"].interruption == Interruption(TOLD, in_a_row=1)
    assert scene.owners() == {"a": "w-1"}


def test_it_is_said_why_a_task_runs_again_until_its_run_ends(scene):
    at_work(scene)
    interrupts(scene)
    assert scene.stored["a"].told_reason == f"{TOLD}; placed again"
    epoch = scene.stored["a"].epoch
    hears(scene, "w-1", Report("a", "1", epoch, State.RUNNING))
    assert scene.stored["a"].told_reason == f"{TOLD}; placed again"
    hears(scene, "w-1", Report("a", "1", epoch, State.DONE))
    assert scene.stored["a"].told_reason == ""
    assert not scene.stored["a"].interruption.reason


def test_a_task_that_begins_anew_was_not_interrupted(scene):
    at_work(scene, kills=1, blame=Blame(processes=1), interruption=Interruption(TOLD, in_a_row=3))
    draft = scene.draft()
    Again("a").apply(draft)
    assert draft.get("a").interruption == Interruption()
    assert (draft.get("a").kills, draft.get("a").blame) == (0, Blame())


def test_a_shard_is_placed_again_like_its_head(scene):
    head = Spec("a", workers=2)
    at_work(scene, spec=head, shared=True, generation=1)
    at_work(scene, "a~1", spec=shard_spec(head, 1), shared=True, generation=1)
    interrupts(scene, "a~1", charged=True)
    interrupts(scene)
    assert scene.owners() == {"a": "w-1", "a~1": "w-1"}
    assert {name: (r.epoch, r.kills) for name, r in scene.stored.items()} == {
        "a": (4, 0),
        "a~1": (4, 1),
    }
