"""Who is to blame when a worker dies, and who is not."""

import pytest

from crawler.model.records import Node, State
from tests.unit.node.scene import W1, W2, Scene, stored, worker


def given_to(scene, name, owner, **fields):
    """A task that was assigned to a worker just now."""
    fields = {"id": name, "assigned_time": int(scene.now_s * 1e9), **fields}
    scene.store(stored(name, owner, **fields))


def dies(scene, node):
    """A worker is gone, without having said so before."""
    scene.leave(node.id)
    return scene.settle()


def test_a_task_that_kills_three_workers_is_parked_and_its_neighbours_are_not():
    scene = Scene(workers=[worker(n) for n in range(1, 7)])
    given_to(scene, "killer", worker(1))
    for n in range(5):
        given_to(scene, f"t{n}", worker(1))
    victims = []
    while (owner := scene.owners()["killer"]) is not None:
        victims.append(owner)
        dies(scene, scene.live[owner])
    assert len(victims) == 3
    assert "3 workers died" in scene.stored["killer"].reason
    assert all(owner for name, owner in scene.owners().items() if name != "killer")
    assert max(r.kills for name, r in scene.stored.items() if name != "killer") < 3


def test_only_the_most_suspect_are_blamed():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "killer", W1, kills=1)
    given_to(scene, "neighbour", W1)
    dies(scene, W1)
    assert {name: task.kills for name, task in scene.stored.items()} == {
        "killer": 2,
        "neighbour": 0,
    }


def test_a_parked_killer_runs_again_once_it_was_updated():
    scene = Scene(stored("a", None, state=State.PENDING, kills=3))
    assert scene.settle() == {"a": None}
    scene.store(scene.stored["a"].replace(kills=0))
    assert scene.settle() == {"a": "w-1"}


@pytest.mark.parametrize("settings", [{"poison_after": 0}, {"poison_after": 2}])
def test_how_many_deaths_it_takes_is_a_setting(settings):
    scene = Scene(stored("a", None, state=State.PENDING, kills=2), **settings)
    assert (scene.settle()["a"] is None) is bool(settings["poison_after"])


def test_who_dies_long_after_died_of_something_else():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1, kills=2)
    scene.now_s += 301
    dies(scene, W1)
    assert (scene.stored["a"].owner.node_id, scene.stored["a"].kills) == ("w-2", 0)


def test_who_leaves_in_order_died_of_nothing():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    scene.join(Node(W1.id, W1.address, incarnation=10, metadata={"draining": "true"}))
    dies(scene, W1)
    assert (scene.stored["a"].owner.node_id, scene.stored["a"].kills) == ("w-2", 0)


def test_several_that_die_at_once_died_of_nothing_they_were_given():
    scene = Scene(workers=[W1, W2, worker(3)])
    given_to(scene, "a", W1)
    given_to(scene, "b", W2)
    scene.leave(W1.id)
    scene.leave(W2.id)
    scene.settle()
    assert [scene.stored[name].kills for name in "ab"] == [0, 0]


def test_a_death_is_counted_once_however_often_the_pass_is_repeated():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    scene.leave(W1.id)
    for _ in range(3):  # the store does not take it
        draft, _ = scene.place()
        for name in draft.names:
            scene.cluster_state.see(name, scene.stored[name])
    scene.settle()
    assert scene.stored["a"].kills == 1
