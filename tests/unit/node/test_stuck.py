"""What would lose a task, keep it waiting for ever, or place it round and round."""

import contextlib
from dataclasses import replace

from crawler.model.constraints import Constraints
from crawler.model.records import Node, Spec, State
from crawler.node.master.commands import Update
from crawler.node.master.placement import Placer
from crawler.scheduler.framework import Framework, Policy
from crawler.settings.scheduler import SchedulerSettings
from tests.unit.node.scene import W1, W2, Scene, stored, worker


def test_a_task_whose_spider_only_a_cordoned_worker_has_does_not_fail_round_and_round():
    with_it = Node("w-1", "h:1", incarnation=10, spiders=frozenset({"books"}))
    without = Node("w-2", "h:2", incarnation=20, spiders=frozenset({"other"}))
    scene = Scene(stored("a", with_it, spec=Spec("a", spider="books")), workers=(with_it, without))
    scene.cluster_state.workers.cordon(frozenset({"w-1"}))
    epochs = []
    for _ in range(10):
        scene.settle()
        task = scene.stored["a"]
        epochs.append((task.epoch, task.owner and task.owner.node_id, task.state.value))
        if task.owner is not None and task.owner.node_id == "w-2":  # it has not that spider
            scene.store(task.replace(state=State.FAILED, awaits_spider=True, reason="no spider"))
    assert scene.stored["a"].epoch <= 5, epochs


def _waits(name="a", **about):
    spec = Spec(name, spider="rare", **about)
    return stored(name, None, state=State.PENDING, spec=spec, awaits_spider=True)


def test_a_task_that_waits_for_its_spider_waits_under_each_leader_until_a_worker_has_it():
    without, with_it = worker(1, spiders=frozenset({"other"})), worker(2, spiders={"rare"})
    scene = Scene(_waits(), workers=(without,))
    assert scene.settle() == {"a": None}
    assert scene.placer.count_waiting() == scene.placer.count_parked() == 1
    assert "no live worker that takes tasks offers 'rare'" in scene.stored["a"].reason
    scene = scene.succeeded()
    assert scene.settle() == {"a": None}
    scene.join(with_it)
    assert scene.settle() == {"a": "w-2"}
    assert (scene.stored["a"].awaits_spider, scene.placer.count_waiting()) == (False, 0)


def test_a_task_that_waits_for_room_beside_its_spider_waits_on_if_that_worker_leaves():
    full = worker(2, capacity={"cpu": 1.0})  # of another program: it may have any spider
    without = worker(1, spiders=frozenset({"other"}), capacity={"cpu": 9.0})
    much = Constraints(requests=(("cpu", 2.0),))
    scene = Scene(_waits(constraints=much), workers=(without, full))
    scene.settle()
    scene.settle()  # it takes in what the first one wrote
    assert "cpu" in scene.stored["a"].reason
    scene.leave("w-2")
    assert scene.settle() == {"a": None}
    assert "waits for its spider" in scene.stored["a"].reason


def test_a_task_that_waits_for_room_beside_its_spider_waits_on_if_that_worker_takes_no_more():
    full = worker(2, capacity={"cpu": 1.0})
    without = worker(1, spiders=frozenset({"other"}), capacity={"cpu": 9.0})
    much = Constraints(requests=(("cpu", 2.0),))
    for change in (
        lambda scene: scene.cluster_state.workers.cordon(frozenset({"w-2"})),
        lambda scene: scene.join(replace(full, metadata={"draining": "true"})),
        lambda scene: scene.join(replace(full, spiders=frozenset({"other"}))),
    ):
        scene = Scene(_waits(constraints=much), workers=(without, full))
        scene.settle()
        scene.settle()
        change(scene)
        assert scene.settle() == {"a": None}
        assert "waits for its spider" in scene.stored["a"].reason


def test_an_update_lets_a_task_wait_on_for_the_same_spider_only():
    for spider, waits, expected in (
        ("rare", False, None),
        ("other", False, "w-1"),
        ("scarce", True, None),
    ):
        scene = Scene(_waits(), workers=(worker(1, spiders=frozenset({"other"})),))
        scene.settle()
        draft = scene.draft()
        Update(Spec("a", spider=spider, parameters={"x": 1}), waits=waits).apply(draft)
        scene.place(draft)
        owner = draft.get("a").owner
        assert (owner and owner.node_id) == expected, spider


def _many(count=250):
    return [
        stored(f"t{n:03}", None, state=State.PENDING, spec=Spec(f"t{n:03}", spider="any"))
        for n in range(count)
    ]


def test_what_another_program_writes_in_the_middle_of_a_pass_is_not_overwritten():
    scene = Scene(*_many(), workers=(W1, W2))
    scene.live = {W1.id: W1, W2.id: W2}
    first = []

    def turn():  # after 200 placements; the mirror takes in meanwhile what others wrote
        if not first:
            first.append(1)
            scene.store(scene.stored["t000"].replace(state=State.DONE, reason="by another"))
            pinned = Spec("t001", spider="any", constraints=Constraints(node="w-9"))
            scene.store(scene.stored["t001"].replace(spec=pinned))

    scene.placer._give_turn = turn
    draft, _ = scene.place()
    assert first
    changes = {change.name: change for change in draft.changes()}
    # Based on the revision that was written meanwhile, so the ledger would take both:
    for name in ("t000", "t001"):
        change = changes.get(name)
        fresh = change is not None and change.based_on == scene.stored[name].mod_revision
        assert not (fresh and change.after.owner is not None), change


def test_a_pass_that_is_killed_leaves_no_reservations_behind():
    scene = Scene(*_many(), workers=(W1, W2))

    def killed():
        raise KeyboardInterrupt  # GreenletExit in life

    scene.placer._give_turn = killed
    draft = scene.draft()
    with contextlib.suppress(KeyboardInterrupt):
        scene.place(draft)
    for name in draft.names:  # what `Term._take_back` does
        scene.cluster_state.see(name, scene.stored.get(name))
    assert scene.cluster_state.workers.groups[""] == 0
    assert sum(each.owned for each in scene.cluster_state.candidates.values()) == 0


def test_after_a_pass_that_was_killed_the_next_term_places_all():
    w1 = Node("w-1", "h:1", incarnation=10, capacity={"cpu": 200.0})
    asks = Constraints(requests=(("cpu", 1.0),))
    waiting = [
        stored(
            f"t{n:03}", None, state=State.PENDING, spec=Spec(f"t{n:03}", "any", constraints=asks)
        )
        for n in range(250)
    ]
    scene = Scene(*waiting, workers=(w1,))

    def killed():
        raise KeyboardInterrupt  # GreenletExit in life: the session ended in the middle of a pass

    scene.placer._give_turn = killed
    draft = scene.draft()
    with contextlib.suppress(KeyboardInterrupt):
        scene.place(draft)
    for name in draft.names:  # what `Term._take_back` does
        scene.cluster_state.see(name, scene.stored.get(name))
    scene.cluster_state.end()  # what `Term._end` does; then this master is elected again
    framework = Framework("least-load", seed=1)
    scene.placer = Placer(scene.cluster_state, framework, SchedulerSettings())
    assert list(scene.settle().values()).count("w-1") == 200


def test_a_switch_tells_waiting_tasks_apart_by_what_the_new_policy_reads(monkeypatch):
    scene = Scene(workers=())
    framework = scene.placer._framework
    # As if `gpu`, which reads the label of that name, had been off ...
    own = framework.policy
    framework.switch(Policy(own.strategy, frozenset({"gpu"}), own.weights))
    no_gpu = Node("w-1", "h:1", incarnation=10)
    scene.add(Spec("a", "any"), Spec("b", "any", labels={"gpu": "yes"}))
    scene.settle()  # both wait, in one queue
    scene.settle()  # and that change is taken in
    framework.switch(own)  # `crawler plugins --enable gpu`
    scene.placer.look_anew()
    scene.join(no_gpu)
    scene.settle()
    assert scene.owners() == {"a": "w-1", "b": None}


def test_tasks_that_may_move_do_so_though_the_fullest_worker_has_none():
    w3 = Node("w-3", "h:3", incarnation=30)
    pinned = Constraints(node="w-1")
    full = [
        stored(f"p{n}", W1, spec=Spec(f"p{n}", spider="any", constraints=pinned)) for n in range(12)
    ]
    free = [stored(f"f{n}", W2, spec=Spec(f"f{n}", spider="any")) for n in range(11)]
    scene = Scene(*full, *free, workers=(W1, W2, w3), rebalance_moves=3, cooldown_s=0)
    assert "w-3" in scene.settle().values()


def test_a_parked_task_does_not_name_the_reason_of_long_ago():
    scene = Scene(workers=(W1,), most={"g": 1})
    about = {"spider": "any", "labels": {"group": "g"}}
    scene.add(Spec("a", **about), Spec("b", **about))
    scene.settle()
    assert (
        "group 'g' has its 1 task" in scene.stored["b"].reason
        or "group" in scene.stored["a"].reason
    )
    placed = next(n for n, r in scene.stored.items() if r.owner)
    waits = "b" if placed == "a" else "a"
    scene.leave("w-1")
    scene.store(scene.stored[placed].replace(state=State.DONE))
    scene.settle()
    assert scene.stored[waits].owner is None
    assert "no worker is registered" in scene.stored[waits].reason


def test_a_pass_gives_turns_while_it_finds_no_worker_too():
    """500 shapes that suit none of 1,000 workers took 3.7 s without a turn."""
    scene = Scene(workers=[Node(f"w-{n}", f"h:{n}", incarnation=10 + n) for n in range(50)])
    scene.add(
        *(Spec(f"t{n}", "any", constraints=Constraints(node=f"none-{n}")) for n in range(1000))
    )
    turns = []
    scene.placer._give_turn = lambda: turns.append(1)
    scene.place()
    assert turns


def test_a_pass_over_many_groups_costs_no_more_for_each_task():
    """Where each turn of up to 16 tasks looked at all groups, 5,000 of them cost a pass 10 s."""
    looked = []

    class Counted(dict):
        def get(self, name, default=None):
            looked.append(name)
            return super().get(name, default)

    scene = Scene(workers=(W1,))
    backlog = scene.placer.backlog
    scene.add(*(Spec(f"t{n}", "any", labels={"group": f"g{n % 200}"}) for n in range(400)))
    scene.cluster_state.workers.groups = Counted()
    scene.cluster_state.workers.groups.__class__.__missing__ = lambda self, key: 0
    scene.place()
    assert not len(backlog)
    assert len(looked) < 400 * 10
