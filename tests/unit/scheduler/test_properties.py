"""What must hold of every plan, whatever the workers and the tasks."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.records import Node, Resource, Spec
from crawler.scheduler.framework import Framework
from tests.depth import examples
from tests.unit.scheduler import oracle
from tests.unit.scheduler.cluster import Cluster, framework, owner_of, task, tasks, worker
from tests.unit.scheduler.mixtures import clusters


def unfinished(workers, resources):
    """(spec, node) of what has a worker and work left."""
    by_id = {node.id: node for node in workers}
    return [
        (each.spec, by_id[each.owner.node_id])
        for each in resources
        if each.owner and not each.state.finished
    ]


def owned(node, resources, before):
    """How many tasks a worker owned when that many were placed."""
    return sum(1 for each in resources if each.owner == owner_of(node)) + sum(
        1 for where in before if where == node.id
    )


@pytest.mark.parametrize("strategy", oracle.STRATEGIES)
@settings(max_examples=examples(100))
@given(clusters())
def test_a_pass_decides_as_one_task_at_a_time_with_everything_counted_anew(strategy, drawn):
    workers, resources = drawn
    cluster = Cluster(workers, resources, framework(strategy))
    placed = unfinished(workers, resources)
    decided = cluster.run_all()
    by_id = {node.id: node for node in workers}
    by_name = {each.name: each for each in resources}
    simple = oracle.STRATEGIES[strategy]()
    done = []
    for name, chosen in decided.items():
        resource = by_name[name]
        able = [n for n in workers if oracle.feasible(resource.spec, n, workers, placed)]
        assert by_id[chosen] in able
        totals = {
            n.id: simple.rate(resource, n, placed) + oracle.points(resource, n, workers, placed)
            for n in able
        }
        best = max(totals.values())
        assert totals[chosen] > best - 1e-6
        asked = resource.spec.constraints
        wishes = [*asked.near, *asked.apart, *asked.spread]
        if not asked.preferred and not any(term.weight for term in wishes):
            equal = [by_id[id] for id, total in totals.items() if total == best]
            first = min(equal, key=lambda n: (owned(n, resources, done), n.id))
            assert chosen == first.id
        simple.chose(by_id[chosen])
        placed.append((resource.spec, by_id[chosen]))
        done.append(chosen)
    for name in cluster.backlog:
        spec = by_name[name].spec
        assert not any(oracle.feasible(spec, n, workers, placed) for n in workers)
    waiting = {r.name for r in resources if r.owner is None}
    assert decided.keys() | set(cluster.backlog) == waiting


@settings(max_examples=examples(100))
@given(clusters(most_tasks=16), st.sampled_from(["random", "least-load", "consistent-hash"]))
def test_no_worker_gets_more_than_it_has(drawn, strategy):
    workers, resources = drawn
    resources = [each.replace(owner=None) for each in resources if not each.state.finished]
    cluster = Cluster(workers, resources, framework(strategy))
    cluster.run_all()
    placed = unfinished(workers, cluster.resources.values())
    for node in workers:
        for quantity, capacity in node.capacity.items():
            asked = [dict(s.constraints.requests).get(quantity, 0) for s, n in placed if n is node]
            assert sum(asked) <= capacity + 1e-9


@settings(max_examples=examples(80))
@given(clusters(), st.randoms(use_true_random=False), st.sampled_from(list(oracle.STRATEGIES)))
def test_the_order_in_which_workers_joined_makes_no_difference(drawn, shuffled, strategy):
    workers, resources = drawn
    first = Cluster(workers, resources, framework(strategy)).run_all()
    shuffled.shuffle(workers)
    assert Cluster(workers, resources, framework(strategy)).run_all() == first


def test_the_same_seed_places_alike_and_another_one_does_not():
    workers = [worker(n) for n in range(9)]

    def placed(seed):
        return Cluster(workers, tasks(30), Framework("random", seed=seed)).run_all()

    assert placed(1) == placed(1)
    assert placed(1) != placed(2)


@settings(max_examples=examples(80))
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.integers(0, 60),
    st.integers(0, 11),
)
def test_least_load_fills_up_the_lowest_first(loads, count, one_with_label):
    workers = [
        worker(n, labels={"a": "1"} if n == one_with_label else {}) for n in range(len(loads))
    ]
    held = [
        task(f"old-{n}-{k}").replace(owner=owner_of(workers[n]))
        for n, load in enumerate(loads)
        for k in range(load)
    ]
    cluster = Cluster(workers, [*held, *tasks(count)])
    placed = cluster.run_all()
    final = {node.id: cluster.cluster_state.candidates[node.id].unfinished for node in workers}
    assert len(placed) == count
    for chosen in set(placed.values()):
        assert final[chosen] <= min(final.values()) + 1


@settings(max_examples=examples(60))
@given(clusters(), st.integers(1, 20))
def test_least_load_leaves_workers_that_suit_alike_one_task_apart(drawn, count):
    workers, resources = drawn
    kind = next((r.spec for r in resources if not r.owner), Spec("any"))
    plain = dataclasses.replace(kind.constraints, near=(), apart=(), spread=())
    kind = dataclasses.replace(kind, constraints=plain)
    alike = [Resource(dataclasses.replace(kind, name=f"t-{n}")) for n in range(count)]
    cluster = Cluster(workers, alike)
    chosen = set(cluster.run_all().values())
    placed = unfinished(workers, cluster.resources.values())
    loads = {id: each.unfinished for id, each in cluster.cluster_state.candidates.items()}
    for one in workers:
        for other in workers:
            if one.id in chosen and oracle.feasible(kind, other, workers, placed):
                mine, its = [oracle.points(alike[0], n, workers, placed) for n in (one, other)]
                assert loads[one.id] - loads[other.id] <= 1 + mine - its + 1e-6


@settings(max_examples=examples(40))
@given(st.integers(2, 8), st.integers(0, 80), st.data())
def test_when_a_worker_leaves_only_its_tasks_move(count, many, data):
    for strategy in ("least-load", "consistent-hash"):
        workers = [worker(n) for n in range(count)]
        before = Cluster(workers, tasks(many), framework(strategy))
        placed = before.run_all()
        gone = data.draw(st.sampled_from(workers))
        before.cluster_state.workers.leave(gone.id)
        orphans = [r for r in before.resources.values() if r.owner.node_id == gone.id]
        before.see(*[each.replace(owner=None) for each in orphans])
        assert before.run_all().keys() == {each.name for each in orphans}
        if strategy == "consistent-hash":  # even when all are placed from nothing
            rest = [each for each in workers if each is not gone]
            anew = Cluster(rest, tasks(many), framework(strategy)).run_all()
            moved = {name for name in placed if anew[name] != placed[name]}
            assert moved == {each.name for each in orphans}


def test_an_id_that_comes_again_in_another_life_owns_nothing_of_the_old():
    old, new = Node("w-1", "h:1", incarnation=5), Node("w-1", "h:1", incarnation=9)
    cluster = Cluster([new], [task("a").replace(owner=owner_of(old))])
    assert cluster.cluster_state.candidates["w-1"].owned == 0
