"""Tasks at work move only where that is allowed, and few of them."""

from crawler.model.constraints import Constraints
from crawler.model.records import Spec, State
from tests.unit.node.scene import W2, Scene

EVEN = {"rebalance_moves": 3, "rebalance_s": 30.0, "cooldown_s": 600.0}


def crowded(**settings):
    """Ten tasks on one worker, and a second worker that has just joined."""
    scene = Scene(**settings)
    scene.add(*(Spec(f"t{n}") for n in range(10)))
    scene.settle()
    scene.join(W2)
    return scene


def moved(scene):
    return sum(owner == "w-2" for owner in scene.settle().values())


def test_nothing_that_is_at_work_moves_unless_it_is_allowed():
    scene = crowded()
    scene.now_s += 10_000
    assert moved(scene) == 0


def test_a_new_worker_gets_its_share_a_few_tasks_at_a_time():
    scene = crowded(**EVEN)
    assert moved(scene) == 0, "they were given to the first just now"
    scene.now_s += 601
    assert moved(scene) == 3
    assert moved(scene) == 3, "not before the interval is over"
    scene.now_s += 30
    assert moved(scene) == 4, "one each is as even as the band asks for"
    scene.now_s += 10_000
    assert moved(scene) == 4, "nothing moves to and fro"


def test_a_task_that_was_moved_stays_for_the_cool_down():
    scene = crowded(**EVEN)
    scene.now_s += 601
    scene.settle()
    there = {name for name, owner in scene.owners().items() if owner == "w-2"}
    for name, task in list(scene.stored.items()):
        if name not in there:
            scene.store(task.replace(state=State.DONE))
    for _ in range(3):
        scene.now_s += 31
        scene.settle()
    assert all(scene.owners()[name] == "w-2" for name in there)


def test_what_suits_no_other_worker_is_not_moved():
    scene = Scene(**EVEN)
    scene.add(*(Spec(f"t{n}", constraints=Constraints(node="w-1")) for n in range(10)))
    scene.settle()
    scene.join(W2)
    scene.now_s += 601
    before = dict(scene.stored)
    assert moved(scene) == 0
    assert scene.stored == before
    assert scene.cluster_state.candidates["w-1"].unfinished == 10
