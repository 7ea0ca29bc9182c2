"""A dry run tells what passes would do under another policy, and changes nothing."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.policy import Move, Policy, Share
from crawler.model.records import State
from crawler.scheduler.dry_run import MOST_EXAMPLES, Trial
from crawler.scheduler.explain import judge
from crawler.scheduler.task import Task
from tests.depth import examples
from tests.unit.scheduler.cluster import Cluster, asks, framework, ids, on, tasks, worker
from tests.unit.scheduler.mixtures import clusters

NOW_NS = 10**18
FORGETFUL = ["least-load", "consistent-hash"]
"""Strategies whose choice depends on nothing but the counts."""


def dry_run(cluster, policy, step=lambda: True):
    """What the leader of such a cluster is told."""
    trial = Trial(
        cluster.framework.under(policy),
        cluster.cluster_state.without_tasks(),
        cluster.backlog.emptied(),
        step,
    )
    waiting = [each.name for each in cluster.resources.values() if waits(each)]
    return trial.run(list(cluster.resources.values()), waiting, NOW_NS)


def waits(resource):
    return resource.owner is None and not resource.state.finished


def moves(found):
    return {each.name: (each.before, each.after) for each in found}


def seen(cluster):
    """All that must be as before: counts of workers, tasks, plugins, and the policy."""
    pool = cluster.cluster_state.candidates.values()
    return copy.deepcopy(
        (
            [(each.id, each.unfinished, each.owned, each.amounts) for each in pool],
            [each.owner for each in map(cluster.cluster_state.holdings.of, cluster.resources)],
            [(each.on, each.weight, each.calls) for each in cluster.framework.plugins],
            cluster.framework.policy,
            list(cluster.backlog),
        )
    )


@settings(max_examples=examples(60))
@given(clusters(), st.sampled_from(FORGETFUL))
def test_the_tasks_that_wait_go_where_a_pass_places_them(drawn, strategy):
    cluster = Cluster(*drawn, framework("random"))
    before = seen(cluster)
    told = dry_run(cluster, Policy(strategy))
    assert seen(cluster) == before
    since_s = {each.name: NOW_NS / 1e9 for each in drawn[1]}
    real = Cluster(*drawn, framework(strategy)).run(since_s=since_s)
    assert {name: after for name, (_, after) in moves(told.placements).items()} == ids(real)
    assert (told.placed, told.waiting) == (len(real.placed), sum(map(waits, drawn[1])))
    assert {each.name for each in told.left} == {
        each.name for each in drawn[1] if waits(each) and each.name not in real.placed
    }


@settings(max_examples=examples(60))
@given(clusters(), st.sampled_from(FORGETFUL))
def test_a_task_that_has_a_worker_goes_where_it_is_explained_to_go(drawn, strategy):
    workers, resources = drawn
    setting = Cluster(workers, resources, framework("least-load"))
    setting.run_all()
    owned = [e for e in setting.resources.values() if e.owner and not e.state.finished]
    told = dry_run(Cluster(workers, owned, framework("random")), Policy(strategy))
    model = Cluster(workers, owned, framework(strategy))
    shapes = {}
    for each in owned:
        shape = model.framework.shape(Task.of(each), model.cluster_state.relevant_labels)
        shapes.setdefault(shape, []).append(each)
    expected = {}
    for each in (one for same in shapes.values() for one in same):
        chosen = judge(model.framework, model.cluster_state, Task.of(each)).chosen
        if chosen != each.owner.node_id:
            expected[each.name] = (each.owner.node_id, chosen)
        if chosen:
            model.see(on(next(w for w in workers if w.id == chosen), each))
    assert moves(told.moves) == expected
    assert (told.moved, told.checked, told.owned) == (len(expected), len(owned), len(owned))
    assert {each.node_id: each.anew for each in told.workers} == {
        id: each.unfinished for id, each in model.cluster_state.candidates.items()
    }


def test_the_counts_tell_what_happens_from_what_would_only_happen_anew():
    one, two = worker("1"), worker("2")
    running = [on(one, each, State.RUNNING) for each in tasks(4, "old")]
    told = dry_run(Cluster([one, two], [*running, *tasks(2, "new")]), Policy("least-load"))
    assert told.workers == [Share("w-1", 4, 4, 3), Share("w-2", 0, 2, 3)]
    assert (told.placed, told.moved) == (2, 1)
    assert told.moves == [Move("old-0", "w-1", "w-2")]


def test_the_same_policy_moves_nothing_where_tasks_are_where_it_puts_them():
    cluster = Cluster([worker("1"), worker("2"), worker("3")], tasks(9))
    cluster.run_all()
    told = dry_run(cluster, Policy("least-load"))
    assert (told.moved, told.moves, told.owned, told.checked) == (0, [], 9, 9)


def test_a_plugin_that_is_turned_off_lets_waiting_tasks_go_and_on_again_keeps_them():
    two = worker("2", labels={"zone": "b"})
    pinned = tasks(2, **asks(node="w-9"))
    cluster = Cluster([two], pinned)
    kept = dry_run(cluster, Policy("least-load"))
    assert (kept.placed, [each.after for each in kept.left]) == (0, ["", ""])
    assert all("w-9" in each.reason for each in kept.left)
    freed = dry_run(cluster, Policy("least-load", frozenset({"pinned"})))
    assert moves(freed.placements) == {"task-0": ("", "w-2"), "task-1": ("", "w-2")}


def test_a_task_that_no_worker_would_take_again_is_told_with_the_reason():
    one = worker("1")
    running = on(one, tasks(1, **asks(node="w-9"))[0], State.RUNNING)
    told = dry_run(Cluster([one], [running]), Policy("least-load"))
    assert [(each.before, each.after) for each in told.moves] == [("w-1", "")]
    assert "no worker suits" in told.moves[0].reason
    assert told.workers == [Share("w-1", 1, 1, 1)]


def test_many_tasks_are_counted_and_the_first_are_told():
    one, two = worker("1"), worker("2")
    running = [on(one, each, State.RUNNING) for each in tasks(500)]
    told = dry_run(Cluster([one, two], running), Policy("least-load"))
    assert (told.moved, len(told.moves), told.checked) == (250, MOST_EXAMPLES, 500)


def test_when_the_time_is_over_it_tells_how_far_it_came():
    one, two = worker("1"), worker("2")
    running = [on(one, each, State.RUNNING) for each in tasks(500)]
    told = dry_run(Cluster([one, two], running), Policy("least-load"), Hurry(30))
    assert (told.checked, told.owned) == (0, 500)
    looks = iter([*[True] * 33, False])
    told = dry_run(Cluster([one, two], running), Policy("least-load"), lambda: next(looks))
    assert told.owned == 500
    assert 0 < told.checked < 500


class Hurry:
    """Time for so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self):
        self.steps -= 1
        return self.steps > 0


def test_steps_come_often_however_many_tasks_there_are():
    one, two = worker("1"), worker("2")
    running = [on(one, each, State.RUNNING) for each in tasks(1_000)]
    steps = []
    dry_run(Cluster([one, two], running), Policy("least-load"), lambda: not steps.append(1))
    assert len(steps) >= 4 * 1_000 / 50, "taken in, sorted out, sorted by shape, and placed"
