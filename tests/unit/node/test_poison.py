"""Who is to blame when a worker dies, and who is not."""

import pytest

from crawler.coordination.codec import decode_resource, encode_resource
from crawler.coordination.stored import MOST_KILLS
from crawler.model.records import Blame, Node, Spec, State
from crawler.node.master.commands import Update
from crawler.node.master.poison import MOST_LIVES
from crawler.node.master.workers import Incarnation
from tests.unit.node.scene import W1, W2, Scene, back, stored, worker


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
    scene.store(scene.stored["a"].replace(kills=0, blame=Blame()))
    assert scene.settle() == {"a": "w-1"}


def test_a_parked_task_is_tried_again_after_pauses_that_double_and_are_stored():
    scene = Scene(stored("a", None, state=State.PENDING, kills=3), poison_pause_s=60.0)
    pauses = []
    for _ in range(3):
        began_s = scene.now_s
        assert scene.settle() == {"a": None}
        assert "it is tried again at 1970-01-01 00:" in scene.stored["a"].reason
        scene = scene.succeeded()  # another master leads, and keeps to what is stored
        while scene.settle() == {"a": None}:
            assert scene.placer.parked_s("a", scene.now_s) > 0
            scene.now_s += 10.0
        pauses.append(scene.now_s - began_s)
        scene.now_s += 1.0
        given = scene.live[scene.owners()["a"]]
        scene.leave(given.id)
        scene.join(Node(given.id, given.address, incarnation=given.incarnation + 1))
    assert pauses == [60.0, 120.0, 240.0]


def test_a_task_that_was_parked_as_often_as_can_be_counted_is_parked_again():
    often = stored(state=State.PENDING, owner=None, kills=3, blame=Blame((), MOST_KILLS))
    scene = Scene(often)
    assert scene.settle() == {"a": None}
    parked = scene.stored["a"]
    assert parked.blame.until
    assert decode_resource("a", encode_resource(parked), parked.mod_revision).blame == parked.blame


def test_a_wall_clock_that_jumps_back_does_not_prolong_a_parking():
    later_ns = int(90_000e9)
    parked = stored(state=State.PENDING, owner=None, kills=3, blame=Blame((), 1, later_ns))
    scene = Scene(parked, poison_pause_s=60.0)
    assert scene.settle() == {"a": None}
    scene.now_s += 60.0
    assert scene.settle() == {"a": "w-1"}


def test_the_same_worker_three_times_is_one_worker():
    scene = Scene(workers=[W1])
    given_to(scene, "a", W1)
    for incarnation in (11, 12, 13):
        scene.leave(W1.id)
        scene.settle()
        scene.join(Node(W1.id, W1.address, incarnation=incarnation))
        assert scene.settle() == {"a": "w-1"}
    assert scene.stored["a"].kills == 1


def test_a_worker_that_comes_back_in_the_same_process_takes_the_charge_back():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    given_to(scene, "b", W1)
    dies(scene, W1)
    assert [scene.stored[name].kills for name in "ab"] == [1, 1]
    scene.join(back(W1, 30))
    scene.settle()
    assert [scene.stored[name].kills for name in "ab"] == [0, 0]
    assert scene.owners() == {"a": "w-2", "b": "w-2"}, "they run where they are"


def test_a_leader_that_did_not_see_the_death_takes_the_charge_back_too():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    dies(scene, W1)
    scene = scene.succeeded()
    scene.settle()
    assert scene.stored["a"].kills == 1
    scene.join(back(W1, 30))
    scene.settle()
    assert (scene.stored["a"].kills, scene.stored["a"].blame) == (0, Blame())


def test_a_worker_that_is_back_before_its_death_was_noticed_died_of_nothing():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    scene.leave(W1.id)
    scene.join(back(W1, 30))
    scene.settle()
    assert scene.stored["a"].kills == 0


def test_a_new_process_under_the_same_name_takes_nothing_back():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    dies(scene, W1)
    scene.join(back(W1, 31, first=30))  # this one lost its lease, but began after the death
    scene.settle()
    assert scene.stored["a"].kills == 1


def test_of_a_worker_that_hung_only_the_task_whose_callback_computed_is_blamed():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "slow", W1)
    given_to(scene, "good", W1)
    dies(scene, W1)
    scene.join(back(W1, 30, hung="slow"))
    scene.settle()
    assert (scene.stored["slow"].kills, scene.stored["good"].kills) == (1, 0)


def hangs():
    """A scene in which a callback of the task "slow" cost worker 1 its lease, and it came back."""
    scene = Scene(workers=[W1, W2])
    given_to(scene, "slow", W1)
    dies(scene, W1)
    scene.join(back(W1, 30, hung="slow"))
    scene.settle()
    assert scene.stored["slow"].kills == 1
    return scene


def test_a_mended_task_is_not_blamed_again_by_a_worker_that_once_hung():
    scene = hangs()
    draft = scene.draft()
    Update(Spec("slow")).apply(draft)  # somebody has mended it
    scene.place(draft)
    scene.store(draft.get("slow"))
    for later in (scene, scene.succeeded()):
        later.settle()
        later.cluster_state.changes.freed(W1.id)
        later.settle()
        assert later.stored["slow"].kills == 0


def test_who_is_parked_for_a_death_is_not_parked_again_when_it_turns_out_to_have_hung():
    scene = Scene(workers=[W1, W2], poison_after=1)
    given_to(scene, "slow", W1)
    dies(scene, W1)
    before = scene.stored["slow"]
    assert before.blame.parkings == 1
    scene.join(back(W1, 30, hung="slow"))
    scene.settle()
    after = scene.stored["slow"]
    assert after.blame.lives == ("w-1 10 hung",)
    assert (after.kills, after.reason) == (1, before.reason)
    assert (after.blame.parkings, after.blame.until) == (1, before.blame.until)


def test_who_hung_stays_blamed_when_the_worker_was_merely_paused_later():
    scene = hangs()
    again = back(W1, 40, first=10)
    scene.leave(W1.id)
    scene.join(again)
    scene.settle()
    assert scene.stored["slow"].kills == 1
    given_to(scene, "slow", again, kills=1, blame=scene.stored["slow"].blame)
    dies(scene, again)
    scene.join(back(W1, 50, first=10))
    scene.settle()
    assert scene.stored["slow"].blame.lives == ("w-1 10 hung",)
    assert scene.stored["slow"].kills == 1


def test_who_hung_is_blamed_even_if_the_store_does_not_take_it_at_once():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "slow", W1)
    dies(scene, W1)
    scene.join(back(W1, 30, hung="slow"))
    scene.place()  # another program writes meanwhile, so nothing is committed
    scene.store(scene.stored["slow"].replace(kills=0, blame=Blame()))
    scene.settle()
    assert scene.stored["slow"].kills == 1


def test_who_hung_is_blamed_even_if_another_was_suspected_more():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "slow", W1)
    given_to(scene, "worst", W1, kills=1)
    dies(scene, W1)
    assert scene.stored["slow"].kills == 0
    scene.join(back(W1, 30, hung="slow"))
    scene.settle()
    assert (scene.stored["slow"].kills, scene.stored["worst"].kills) == (1, 1)


def test_nothing_is_rewritten_of_a_task_that_is_finished():
    done = stored(state=State.DONE, kills=1, blame=Blame(("w-1 10",)))
    scene = Scene(done, workers=[W2])
    scene.join(back(W1, 30))
    draft, _ = scene.place()
    assert draft.changes() == []


def test_all_nodes_of_a_machine_that_go_within_a_moment_died_of_nothing():
    scene = Scene(workers=[worker(n) for n in (1, 2, 3)], ttl_s=5.0)
    for name, node in (("a", worker(1)), ("b", worker(2))):
        given_to(scene, name, node)
    scene.now_s += 20.0
    dies(scene, worker(1))
    assert scene.stored["a"].kills == 1
    scene.now_s += 1.0
    dies(scene, worker(2))
    scene.settle()
    assert [scene.stored[name].kills for name in "ab"] == [0, 0]


def test_two_lives_of_one_worker_are_not_several_nodes():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    given_to(scene, "theirs", Node(W1.id, W1.address))  # another program names no incarnation
    dies(scene, W1)
    assert scene.stored["a"].kills == 1


def test_a_worker_that_dies_again_at_once_is_not_another_node_of_its_machine():
    scene = Scene(workers=[W1, W2], ttl_s=5.0)
    given_to(scene, "a", W1)
    scene.now_s += 20.0
    dies(scene, W1)
    again = Node(W1.id, W1.address, incarnation=30)
    scene.join(again)
    given_to(scene, "b", again, assigned_time=int((scene.now_s - 10) * 1e9))
    scene.now_s += 1.0
    dies(scene, again)
    assert [scene.stored[name].kills for name in "ab"] == [1, 1]


def test_deaths_on_a_machine_one_after_the_other_are_not_at_once():
    scene = Scene(workers=[worker(n) for n in (1, 2, 3)], ttl_s=5.0)
    for name, node in (("a", worker(1)), ("b", worker(2))):
        given_to(scene, name, node)
    scene.now_s += 20.0
    dies(scene, worker(1))
    scene.now_s += 4.0
    dies(scene, worker(2))
    assert [scene.stored[name].kills for name in "ab"] == [1, 1]


@pytest.mark.parametrize(("later_s", "kills"), [(1.0, 0), (9.0, 1)])
def test_a_worker_that_goes_together_with_a_master_of_its_machine_died_of_nothing(later_s, kills):
    scene = Scene(workers=[W1, W2], ttl_s=5.0)
    given_to(scene, "a", W1)
    scene.now_s += 20.0
    scene.hosts_lost["h"] = scene.now_s
    scene.now_s += later_s
    dies(scene, W1)
    assert scene.stored["a"].kills == kills


def test_a_worker_that_was_missing_when_the_leader_took_over_died_of_nothing():
    scene = Scene(workers=[W1, W2])
    given_to(scene, "a", W1)
    scene.leave(W1.id)
    scene.spared = frozenset({Incarnation(W1.id, W1.incarnation)})
    scene.settle()
    scene.spared = frozenset()
    scene.cluster_state.workers.suspect_all([W1.id])
    scene.settle()
    assert (scene.owners()["a"], scene.stored["a"].kills) == ("w-2", 0)


def test_a_cordoned_worker_died_of_nothing_it_still_had():
    scene = Scene(workers=[W1])
    given_to(scene, "a", W1)
    scene.cluster_state.workers.cordon(frozenset({W1.id}))
    scene.settle()
    dies(scene, W1)
    assert scene.stored["a"].kills == 0


def test_what_a_worker_got_after_its_last_renewal_did_not_kill_it():
    scene = Scene(workers=[W1, W2], ttl_s=5.0)
    given_to(scene, "early", W1)
    scene.now_s += 10.0
    given_to(scene, "late", W1)
    scene.now_s += 2.0
    dies(scene, W1)
    assert (scene.stored["early"].kills, scene.stored["late"].kills) == (1, 0)


@pytest.mark.parametrize("settings", [{"poison_after": 0}, {"poison_after": 2}])
def test_how_many_deaths_it_takes_is_a_setting(settings):
    scene = Scene(stored("a", None, state=State.PENDING, kills=2), **settings)
    assert (scene.settle()["a"] is None) is bool(settings["poison_after"])


def test_a_task_keeps_the_number_of_all_deaths_and_the_names_of_the_latest():
    scene = Scene(workers=[worker(n) for n in range(1, 72)], poison_after=1000)
    given_to(scene, "killer", worker(1))
    for _ in range(70):
        dies(scene, scene.live[scene.owners()["killer"]])
    assert scene.stored["killer"].kills == 70
    assert len(scene.stored["killer"].blame.lives) == MOST_LIVES


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
