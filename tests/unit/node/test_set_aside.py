"""A task whose placement raises waits alone: the pass places all others."""

import pytest

from crawler.model.constraints import Constraints
from crawler.model.records import Spec, State
from crawler.node.master import placement, rebalancing
from crawler.scheduler import cycle
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.ranking import Ranking
from crawler.scheduler.task import Task
from tests.unit.node.scene import W1, W2, Scene, stored

TOLD = "set aside: placing it failed (OverflowError: too large), and the leader's log says where; "


def raises(for_name, real):
    """A function that raises for one task, and does the real thing for all others."""

    def call(*args):
        if any(getattr(each, "name", each) == for_name for each in args):
            raise OverflowError("too large")
        return real(*args)

    return call


def in_the_intake(monkeypatch):
    monkeypatch.setattr(Task, "of", staticmethod(raises("bad", Task.of)))


def in_the_ranking(monkeypatch):
    class Broken(Ranking):
        def __init__(self, framework, cluster_state, task):
            if task.constraints.node == "w-1":
                raise OverflowError("too large")
            super().__init__(framework, cluster_state, task)

    monkeypatch.setattr(cycle, "Ranking", Broken)


def in_the_reservation(monkeypatch):
    monkeypatch.setattr(ClusterState, "reserve", raises_second("bad", ClusterState.reserve))


def raises_second(name, real):
    def reserve(self, task, node):
        held = real(self, task, node)
        if task == name:
            raise OverflowError("too large")
        return held

    return reserve


def in_the_writing(monkeypatch):
    monkeypatch.setattr(placement, "assigned", raises("bad", placement.assigned))


@pytest.mark.parametrize(
    "fault", [in_the_intake, in_the_ranking, in_the_reservation, in_the_writing]
)
def test_a_task_whose_placement_raises_waits_alone_and_says_why(monkeypatch, fault, caplog):
    scene = Scene(workers=[W1, W2])
    fault(monkeypatch)
    scene.add(Spec("a"), Spec("bad", constraints=Constraints(node="w-1")), Spec("b"))
    assert scene.settle() == {"a": "w-1", "bad": None, "b": "w-2"}
    assert scene.stored["bad"].reason.startswith(TOLD)
    assert scene.cluster_state.candidates["w-1"].unfinished == 1
    assert (scene.placer.count_set_aside(), scene.placer.count_waiting()) == (1, 1)
    scene.add(Spec("c"))
    scene.settle()
    [record] = [each for each in caplog.records if each.exc_info]
    assert record.fields["task"] == "'bad'"


def test_it_is_tried_again_when_it_changes_and_forgotten_when_it_is_deleted(monkeypatch):
    scene = Scene()
    with monkeypatch.context() as broken:
        in_the_intake(broken)
        scene.add(Spec("bad"))
        scene.settle()
    scene.join(W2)
    assert scene.settle() == {"bad": None}
    scene.store(scene.stored["bad"].replace(spec=Spec("bad", "other")))
    assert scene.settle()["bad"] is not None
    assert scene.placer.count_set_aside() == 0
    with monkeypatch.context() as broken:
        in_the_intake(broken)
        scene.store(scene.stored["bad"].replace(owner=None, state=State.PENDING))
        scene.settle()
    assert scene.placer.count_set_aside() == 1
    del scene.stored["bad"]
    scene.cluster_state.see("bad", None)
    scene.settle()
    assert scene.placer.count_set_aside() == 0


def test_it_is_tried_again_after_pauses_that_double_when_the_cause_has_gone(monkeypatch, caplog):
    scene = Scene(workers=[W1])
    pauses = []
    with monkeypatch.context() as broken:
        in_the_ranking(broken)
        scene.add(Spec("bad", constraints=Constraints(node="w-1")))
        for _ in range(8):
            assert scene.settle() == {"bad": None}
            pauses.append(round(scene.placer.idle_s(scene.now_s)))
            scene.now_s += scene.placer.idle_s(scene.now_s)
            assert scene.placer.count_waiting() == 1
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len([each for each in caplog.records if each.levelname == "ERROR"]) == 1
    assert scene.settle() == {"bad": "w-1"}
    assert scene.placer.count_set_aside() == 0


def test_it_is_tried_again_at_once_by_another_policy(monkeypatch):
    scene = Scene(workers=[W1])
    with monkeypatch.context() as broken:
        in_the_ranking(broken)
        scene.add(Spec("bad", constraints=Constraints(node="w-1")))
        scene.settle()
    scene.placer.look_anew()
    assert scene.settle() == {"bad": "w-1"}


def test_many_tasks_with_one_fault_are_logged_with_one_traceback(monkeypatch, caplog):
    scene = Scene()
    monkeypatch.setattr(placement, "assigned", raises("h:1", lambda *_: 1 / 0))
    scene.add(*(Spec(f"t{n}") for n in range(5)), Spec("u", "s"))
    scene.settle()
    assert len([each for each in caplog.records if each.exc_info]) == 1
    assert scene.placer.count_set_aside() == 6


@pytest.mark.parametrize("failures", [1, 7, 1000, 5000])
def test_a_run_that_failed_often_is_tried_again_within_a_minute(failures):
    failed = stored("a", None, state=State.PENDING, failed_on=("w-1",) * failures)
    scene = Scene(failed)
    assert scene.settle() == {"a": None}
    assert 0 < scene.placer.tries_again_s("a", scene.now_s) <= 60
    scene.now_s += 61
    assert scene.settle() == {"a": "w-1"}


def test_a_task_that_cannot_be_judged_is_not_moved_and_its_counts_stay(monkeypatch):
    tasks = [stored(f"t{n}", state=State.RUNNING) for n in range(6)]
    scene = Scene(*tasks, workers=[W1, W2], rebalance_moves=5, cooldown_s=0)

    def broken(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(rebalancing, "Ranking", broken)
    assert set(scene.settle().values()) == {"w-1"}
    assert scene.cluster_state.candidates["w-1"].unfinished == 6


@pytest.mark.parametrize("ageing_s", [0.0, 1e-320, 1e-12, 60.0])
def test_the_place_in_the_queue_is_a_number_however_fast_tasks_age(ageing_s):
    scene = Scene(workers=[W1], ageing_s=ageing_s)
    scene.add(Spec("a", priority=-(2**31)), Spec("b", priority=2**31 - 1))
    scene.store(stored("c", None, state=State.PENDING, creation_time=2**63 - 1))
    assert set(scene.settle().values()) == {"w-1"}
