"""What a leader keeps between its passes: who waits, who is to blame, who comes back when."""

import pytest

from crawler.constraints import Constraints, Neighbour, Spread
from crawler.node import placement
from crawler.node.requests import Add, Record
from crawler.records import Node, Report, Spec, State
from crawler.scheduler.framework import Framework
from crawler.settings import SchedulerSettings
from tests.unit.node.scene import W1, W2, Scene, stored

GONE = Node("w-9", "h:9", incarnation=5)


def worker(number, **about):
    return Node(f"w-{number}", f"h:{number}", incarnation=number * 10, **about)


def given_to(scene, name, owner, **fields):
    """A task that was assigned to a worker just now."""
    fields = {"id": name, "assigned_time": int(scene.now_s * 1e9), **fields}
    scene.store(stored(name, owner, **fields))


def dies(scene, node):
    """A worker is gone, without having said so before."""
    scene.leave(node.id)
    return scene.settle()


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
    assert [scene.census.candidates[id].unfinished for id in ("w-1", "w-2")] == [2, 2]
    for name in draft.names:
        scene.census.see(name, scene.stored[name])
    assert [scene.census.candidates[id].unfinished for id in ("w-1", "w-2")] == [0, 0]
    assert sorted(scene.settle().values()) == ["w-1", "w-1", "w-2", "w-2"]


# -- workers that shall have no tasks --------------------------------------------------------------


def test_a_cordoned_worker_loses_its_tasks_and_gets_none_until_it_is_allowed():
    scene = Scene(workers=[W1, W2])
    scene.add(*(Spec(f"t{n}") for n in range(4)))
    scene.settle()
    scene.census.cordon(frozenset({"w-1"}))
    assert set(scene.settle().values()) == {"w-2"}
    scene.add(Spec("more"))
    assert scene.settle()["more"] == "w-2"
    scene.census.cordon(frozenset())
    scene.add(Spec("last"))
    assert scene.settle()["last"] == "w-1"


def test_tasks_of_a_cordoned_worker_stay_while_no_other_suits():
    scene = Scene()
    scene.add(Spec("a"))
    scene.settle()
    scene.census.cordon(frozenset({"w-1"}))
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


# -- who is to blame -------------------------------------------------------------------------------


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
            scene.census.see(name, scene.stored[name])
    scene.settle()
    assert scene.stored["a"].kills == 1


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
    assert scene.placer.idle_s(scene.now_s) == pytest.approx(2 * placement.RETRY_S)
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


# -- evening out -----------------------------------------------------------------------------------

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
    assert scene.census.candidates["w-1"].unfinished == 10


# -- places ----------------------------------------------------------------------------------------


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
    scene.census.cordon(frozenset({first}))
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
        scene.census, Framework("least-load"), SchedulerSettings(), turn
    )
    draft, _ = scene.place()
    late = [change.after.owner.node_id for change in draft.changes()][300:]
    assert late == ["w-2"] * 700


def test_a_task_whose_spider_only_a_cordoned_worker_has_stays_there_until_another_has_it():
    with_it = worker(1, spiders=frozenset({"books"}))
    scene = Scene(workers=[with_it, worker(2, spiders=frozenset())])
    scene.add(Spec("a", spider="books"))
    scene.settle()
    scene.census.cordon(frozenset({"w-1"}))
    assert scene.settle() == {"a": "w-1"}
    scene.join(worker(3, spiders=frozenset({"books"})))
    assert scene.settle() == {"a": "w-3"}


def test_a_task_that_failed_for_want_of_a_spider_waits_for_a_worker_that_takes_tasks():
    failed = stored("a", W2, state=State.FAILED, awaits_spider=True, spec=Spec("a", spider="books"))
    scene = Scene(failed, workers=[worker(1, spiders=frozenset({"books"})), W2])
    scene.live["w-2"] = worker(2, spiders=frozenset())
    scene.census.join(scene.live["w-2"])
    scene.census.cordon(frozenset({"w-1"}))
    scene.settle()
    assert scene.stored["a"].state is State.FAILED
    scene.census.cordon(frozenset())
    assert scene.settle() == {"a": "w-1"}
