"""What one worker does to another: places, spiders, and who leaves."""

import pytest

from crawler.model.constraints import Constraints, Neighbour, Spread
from crawler.model.records import Spec, State
from crawler.node.master import placement
from crawler.node.master.commands import Update
from crawler.scheduler.framework import Framework
from crawler.settings.scheduler import SchedulerSettings
from tests.unit.node.scene import W1, W2, Scene, stored, worker


def in_zone(number, zone, **about):
    return worker(number, labels={"zone": zone}, **about)


def web(name, **asks):
    return Spec(name, labels={"app": "web"}, constraints=Constraints(**asks))


def test_a_worker_that_another_one_opened_is_noticed():
    """A task in one zone makes room, by the skew that is allowed, in the other."""
    evenly = (Spread("zone", "app", "web"),)
    takes = (("slots", 1.0),)
    slots = {"slots": 9}
    scene = Scene(
        workers=[
            in_zone(1, "a", capacity=slots),
            in_zone(2, "b", capacity={"slots": 1}),
            in_zone(3, "b"),
        ]
    )
    scene.add(*(web(f"t{n}", spread=evenly, requests=takes) for n in range(4)))
    assert sorted(scene.settle().values(), key=str) == [None, "w-1", "w-1", "w-2"]
    scene.add(web("other", node="w-3"))
    assert sorted(scene.settle().values()) == ["w-1", "w-1", "w-1", "w-2", "w-3"]


def test_a_task_that_is_to_leave_its_worker_is_not_in_its_own_way():
    scene = Scene(workers=[in_zone(1, "a"), in_zone(2, "a")])
    scene.add(web("shy", apart=(Neighbour("app", over="zone"),)))
    first = scene.settle()["shy"]
    scene.cluster_state.workers.cordon(frozenset({first}))
    assert {first, scene.settle()["shy"]} == {"w-1", "w-2"}


def test_tasks_of_spiders_that_no_worker_lists_are_placed_together():
    scene = Scene()
    scene.add(*(Spec(f"t{n}") for n in range(5)), Spec("known", spider="books"))
    scene.leave("w-1")
    scene.settle()
    assert len(scene.placer.backlog.queues) == 1
    scene.join(worker(2, spiders=frozenset({"t3", "books"}), capacity={"cpu": 0}))
    assert set(scene.settle().values()) == {"w-2"}


def test_a_worker_that_leaves_in_the_middle_of_a_pass_gets_nothing_more():
    scene = Scene(workers=[W1, W2])
    scene.add(*(Spec(f"t{n}") for n in range(1000)))

    def turn():
        if "w-1" in scene.live:
            scene.leave("w-1")

    scene.placer = placement.Placer(
        scene.cluster_state, Framework("least-load"), SchedulerSettings(), turn
    )
    draft, _ = scene.place()
    late = [change.after.owner.node_id for change in draft.changes()][300:]
    assert late == ["w-2"] * 700


def test_a_task_whose_spider_only_a_cordoned_worker_has_stays_there_until_another_has_it():
    with_it = worker(1, spiders=frozenset({"books"}))
    scene = Scene(workers=[with_it, worker(2, spiders=frozenset())])
    scene.add(Spec("a", spider="books"))
    scene.settle()
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    assert scene.settle() == {"a": "w-1"}
    scene.join(worker(3, spiders=frozenset({"books"})))
    assert scene.settle() == {"a": "w-3"}


def test_a_task_that_failed_for_want_of_a_spider_waits_for_a_worker_that_takes_tasks():
    failed = stored("a", W2, state=State.FAILED, awaits_spider=True, spec=Spec("a", spider="books"))
    scene = Scene(failed, workers=[worker(1, spiders=frozenset({"books"})), W2])
    scene.live["w-2"] = worker(2, spiders=frozenset())
    scene.cluster_state.workers.join(scene.live["w-2"])
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    scene.settle()
    assert scene.stored["a"].state is State.FAILED
    scene.cluster_state.workers.cordon(frozenset())
    assert scene.settle() == {"a": "w-1"}


@pytest.mark.parametrize("how", ["cordoned", "dead"])
def test_a_group_that_has_its_most_may_move(how):
    """What is to move takes no part of its own maximum."""
    scene = Scene(workers=[W1, W2], most={"g": 2})
    scene.add(*(Spec(f"t{n}", labels={"group": "g"}) for n in range(3)))
    waits = [name for name, owner in scene.settle().items() if owner is None]
    assert len(waits) == 1
    if how == "dead":
        scene.leave("w-1")
    else:
        scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    owners = scene.settle()
    assert [owners.pop(name) for name in waits] == [None]
    assert set(owners.values()) == {"w-2"}


def test_an_update_forgives_a_task_that_was_parked():
    scene = Scene(stored("a", None, state=State.PENDING, kills=3))
    assert scene.settle() == {"a": None}
    assert scene.placer.count_parked() == 1
    draft = scene.draft()
    Update(Spec("a")).apply(draft)
    scene.place(draft)
    [change] = draft.changes()
    assert change.after.owner.node_id == "w-1"
    assert change.after.kills == 0
