"""What is explained to people is what a pass does, and explaining changes nothing."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.constraints import Neighbour, Spread, Taint
from crawler.model.policy import LAST, STRATEGY, Fault, Score
from crawler.model.records import State
from crawler.scheduler.explain import judge
from crawler.scheduler.framework import Framework
from crawler.scheduler.task import Task
from tests.depth import examples
from tests.unit.scheduler.cluster import Cluster, asks, framework, on, task, tasks, worker
from tests.unit.scheduler.mixtures import clusters
from tests.unit.scheduler.plugins import found

SEEING = ["least-load", "round-robin", "weighted-round-robin", "consistent-hash"]
"""All strategies but `random`, which draws anew each time."""


def judged(cluster, resource):
    return judge(cluster.framework, cluster.cluster_state, Task.of(resource))


def verdict(judgement, id):
    return next(each for each in judgement.workers if each.node_id == id)


@settings(max_examples=examples(80))
@given(clusters(), st.sampled_from(SEEING))
def test_a_pass_decides_what_is_explained(drawn, strategy):
    cluster = Cluster(*drawn, framework(strategy))
    cluster.run(most=0)  # all that waits is in the backlog
    while True:
        for queue in cluster.backlog.parked:  # what was placed since may help it
            cluster.backlog.wake(queue)
        before = {name: judged(cluster, cluster.resources[name]) for name in cluster.backlog}
        plan = cluster.run(most=1)
        for name, node in plan.placed.items():
            assert before[name].chosen == node.id
            assert not verdict(before[name], node.id).refusals
        for queue in cluster.backlog.parked:
            for name in queue:
                assert before[name].chosen == ""
                refused = {each.node_id for each in before[name].workers if each.refusals}
                assert refused == queue.reasons.keys()
                assert all(
                    queue.reasons[each.node_id] in "; ".join(each.refusals.values())
                    for each in before[name].workers
                )
        if not plan.placed:
            break


@settings(max_examples=examples(80))
@given(clusters(), st.data())
def test_a_task_that_has_a_worker_is_judged_as_if_it_had_none(drawn, data):
    workers, resources = drawn
    cluster = Cluster(workers, resources)
    cluster.run_all()
    owned = [each for each in cluster.resources.values() if each.owner]
    if owned:
        one = data.draw(st.sampled_from(owned))
        others = [each for each in cluster.resources.values() if each is not one]
        without = Cluster(workers, [*others, one.replace(owner=None, state=State.PENDING)])
        assert judged(cluster, one) == judged(without, one)


def counts(cluster):
    """All that the cluster state counts of each worker and place."""
    places = [*cluster.cluster_state.schedulable, *cluster.cluster_state.places("zone")]
    return copy.deepcopy(
        [[getattr(each, slot) for kind in type(each).__mro__[:-1] for slot in kind.__slots__]
         for each in places]
    )  # fmt: skip


@pytest.mark.parametrize("strategy", [*SEEING, "random"])
def test_explaining_changes_nothing(strategy):
    zones = [worker(n, labels={"zone": "ab"[n % 2]}) for n in range(4)]
    web = {"labels": {"app": "web"}, **asks(spread=(Spread("zone", "app"),))}
    plans = []
    for explains in (False, True):
        cluster = Cluster(zones, tasks(12, **web), Framework(strategy, seed=7))
        placed = {}
        for _ in range(12):
            if explains:
                before = counts(cluster)
                for resource in cluster.resources.values():
                    judged(cluster, resource)
                assert counts(cluster) == before
            placed |= cluster.run(most=1).placed
        plans.append(placed)
    assert plans[0] == plans[1]
    assert len(plans[0]) == 12


def test_each_worker_is_judged_by_each_plugin():
    zone_a, zone_b = {"labels": {"zone": "a"}}, {"labels": {"zone": "b"}}
    workers = [
        worker(1, **zone_a),
        worker(2, **zone_b),
        worker(3, taints=(Taint.parse("for=tests:NoSchedule"),), **zone_b),
        worker(4, capacity={"cpu": 1.0}, **zone_b),
        worker(5, metadata={"draining": "true"}),
        worker(6, **zone_a),
        worker(7, labels={"zone": "c"}),
    ]
    wish = Neighbour("app", "db", "zone", 5.0)
    web = {"labels": {"app": "web"}}
    apart = asks(requests=(("cpu", 2.0),), apart=(Neighbour("app", "web", "zone"),), near=(wish,))
    asked = task("new", labels={"app": "api"}, **apart)
    cluster = Cluster(workers, [on(workers[6], task("x", **web)), on(workers[1], task("y")), asked])
    cluster.cluster_state.workers.cordon(frozenset({"w-6"}))
    judgement = judged(cluster, asked)
    assert {each.node_id: dict(each.refusals) for each in judgement.workers} == {
        "w-1": {},
        "w-2": {},
        "w-3": {"taints": "has the taint for=tests:NoSchedule"},
        "w-4": {"resources": "has 1 of 1 cpu left, 2 is asked for"},
        "w-5": {"leaving": "is about to leave"},
        "w-6": {"cordon": "takes no tasks until `crawler uncordon`"},
        "w-7": {"affinity": "is in zone c, which has a task with app=web"},
    }
    assert (judgement.strategy, judgement.chosen) == ("least-load", "w-1")
    best, second = verdict(judgement, "w-1"), verdict(judgement, "w-2")
    assert (best.rating, best.unfinished) == (0.0, 0)
    assert (second.rating, second.unfinished) == (-1.0, 1)
    assert Score("affinity", 10.0, 0.0, "zone=a") in best.scores
    assert best.total == best.rating + sum(each.weight * each.points for each in best.scores)


def test_a_task_that_awaits_its_spider_goes_to_no_worker_without_it():
    lacks, has = worker(1, spiders=frozenset({"other"})), worker(2, spiders=frozenset({"shop"}))
    cluster = Cluster([lacks])
    of = Task.of(task("x", spider="shop"))
    judgement = judge(cluster.framework, cluster.cluster_state, of, awaits_spider=True)
    assert judgement.chosen == ""
    assert verdict(judgement, "w-1").refusals == {"spider": "does not have its spider"}
    assert judged(cluster, task("x", spider="shop")).chosen == "w-1", (
        "others fail there, and say so"
    )
    cluster.cluster_state.workers.join(has)
    judgement = judge(cluster.framework, cluster.cluster_state, of, awaits_spider=True)
    assert judgement.chosen == "w-2"


def test_a_plugin_that_fails_while_a_task_is_explained_stays_in_the_pass_under_way():
    cluster = Cluster([worker(1)], tasks(2), Framework("least-load"))
    plugin = next(each for each in cluster.framework.plugins if each.name == "spider-available")
    plugin.hooks = {**plugin.hooks, "filter_nodes": lambda task, nodes: 1 / 0}
    plugin_run = cluster.framework.plugin_run(Task.of(task("x")), cluster.cluster_state)
    assert judged(cluster, task("x")).chosen == "w-1"
    plugin.hooks = {**plugin.hooks, "filter_nodes": lambda task, nodes: {"w-1": "no"}}
    assert plugin_run.refusals(cluster.cluster_state.schedulable) == {
        "spider-available": {"w-1": "no"}
    }


def test_what_fails_while_a_task_is_explained_is_told_and_has_no_say():
    cluster = Cluster([worker(1)], (), Framework("round-robin"))
    assert judged(cluster, task("x")).faults == []

    def forgetful(task, nodes):
        raise KeyError("price")

    broken = {"spider-available": ("filter_nodes", forgetful), "spread": ("topology", forgetful)}
    for name, (hook, function) in broken.items():
        plugin = found(cluster.framework, name)
        plugin.hooks = {**plugin.hooks, hook: function}
    plugin = found(cluster.framework, "taints")
    plugin.hooks = {**plugin.hooks, "score_nodes": lambda task, nodes: [7] * len(nodes)}
    cluster.framework._strategy.rate = lambda task, nodes: []
    judgement = judged(cluster, task("x"))
    assert judgement.chosen == "w-1"
    assert sorted(judgement.faults, key=lambda fault: fault.plugin) == [
        Fault("round-robin", STRATEGY, "TypeError: its ratings of 1 worker are []"),
        Fault("spider-available", "filter_nodes", "KeyError: 'price'"),
        Fault("spread", "topology", "KeyError: 'price'"),
        Fault("taints", "score_nodes", "TypeError: score_nodes returned [7]"),
    ]


def test_a_worker_about_which_the_strategy_fails_is_named_and_rated_last():
    cluster = Cluster([worker(1), worker(2)], (), Framework("least-load", slow_s=600.0))

    def rate(task, nodes):
        return [7.0 if node.id == "w-1" else float("heavy") for node in nodes]

    cluster.framework._strategy.rate = rate
    judgement = judged(cluster, task("x"))
    told = "ValueError: could not convert string to float: 'heavy'"
    assert judgement.faults == [Fault("least-load", STRATEGY, told, "w-2")]
    assert judgement.chosen == "w-1"
    assert [each.rating for each in judgement.workers] == [7.0, LAST]


def test_a_strategy_that_cannot_be_copied_is_tried_anew():
    cluster = Cluster([worker(1), worker(2)], tasks(2), Framework("round-robin"))
    cluster.framework._strategy.lock = (each for each in ())  # cannot be copied
    assert cluster.run(most=1).placed["task-0"].id == "w-1"
    ratings = {each.rating for each in judged(cluster, task("x")).workers}
    assert ratings == {-1.0}  # of a new one, that has chosen nobody yet
    assert cluster.run(most=1).placed["task-1"].id == "w-2"
