"""A pass of the scheduler: what must hold of every plan."""

import random

from hypothesis import given
from hypothesis import strategies as st

from crawler.records import Node, Owner, Resource, Spec, State
from crawler.scheduler import snapshot
from crawler.scheduler.cycle import run_pass
from crawler.scheduler.framework import Framework
from crawler.scheduler.snapshot import Candidate

FRAMEWORK = Framework("least-load")


def worker(name, **about):
    return Node(f"go.micro.server.worker-{name}", f"h:{name}", **about)


def spread(plan):
    """How many tasks each worker got."""
    counts = {}
    for node in plan.placed.values():
        counts[node.id] = counts.get(node.id, 0) + 1
    return counts


def tasks(count, **about):
    return [Spec(f"task-{n}", **about) for n in range(count)]


def test_five_tasks_on_two_workers_split_three_and_two():
    plan = run_pass(FRAMEWORK, [Candidate(worker(1)), Candidate(worker(2))], tasks(5))
    assert sorted(spread(plan).values()) == [2, 3]
    assert plan.refused == []


def test_ties_go_to_who_owns_fewer_then_by_name():
    one, two = Candidate(worker(1), 0, 3), Candidate(worker(2), 0, 2)
    assert run_pass(FRAMEWORK, [one, two], tasks(1)).placed["task-0"].id.endswith("-2")
    one, two = Candidate(worker(1), 1, 3), Candidate(worker(2), 1, 3)
    assert run_pass(FRAMEWORK, [two, one], tasks(1)).placed["task-0"].id.endswith("-1")


loads = st.lists(st.integers(0, 20), min_size=1, max_size=12)


@given(loads, st.integers(0, 60), st.randoms(use_true_random=False))
def test_least_load_fills_up_the_lowest_first_whatever_the_order(loads, count, shuffled):
    candidates = [Candidate(worker(n), load, load) for n, load in enumerate(loads)]
    plan = run_pass(FRAMEWORK, candidates, tasks(count))
    got = spread(plan)
    final = {c.node.id: c.unfinished + got.get(c.node.id, 0) for c in candidates}
    touched = [final[id] for id in got]
    assert len(plan.placed) == count
    if touched:
        assert max(touched) <= min(final.values()) + 1
    shuffled.shuffle(candidates)
    assert run_pass(FRAMEWORK, candidates, tasks(count)).placed == plan.placed


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=8), st.booleans())
def test_a_task_that_needs_a_gpu_goes_only_where_one_is(workers, needs):
    candidates = [
        Candidate(worker(n, labels={"gpu": "true"} if has else {}), load, load)
        for n, (has, load) in enumerate(workers)
    ]
    plan = run_pass(FRAMEWORK, candidates, tasks(4, labels={"gpu": "true"} if needs else {}))
    assert len(plan.placed) + len(plan.refused) == 4
    for node in plan.placed.values():
        assert not needs or node.labels
    if candidates and (not needs or any(has for has, _ in workers)):
        assert plan.refused == []


def test_what_cannot_be_placed_says_why_per_node():
    plan = run_pass(FRAMEWORK, [Candidate(worker(1))], tasks(1, labels={"gpu": "1"}))
    [verdict] = plan.refused
    assert verdict.reason == "no worker suits: go.micro.server.worker-1 has no GPU"
    [verdict] = run_pass(FRAMEWORK, [], tasks(1)).refused
    assert "no worker is registered" in verdict.reason


def test_workers_with_the_spider_are_preferred_and_without_any_it_is_placed_all_the_same():
    with_spider = Candidate(worker(1, spiders=frozenset({"books"})), 9, 9)
    without = Candidate(worker(2, spiders=frozenset()))
    plan = run_pass(FRAMEWORK, [with_spider, without], tasks(2, spider="books"))
    assert {node.id for node in plan.placed.values()} == {with_spider.node.id}
    plan = run_pass(FRAMEWORK, [without], tasks(2, spider="books"))
    assert {node.id for node in plan.placed.values()} == {without.node.id}


def test_a_worker_that_does_not_say_has_every_spider():
    silent = Candidate(worker(1))
    plan = run_pass(FRAMEWORK, [silent, Candidate(worker(2, spiders=frozenset()))], tasks(1))
    assert plan.placed["task-0"] == silent.node


def test_higher_priority_is_placed_first():
    given_tasks = [Spec("low", priority=-1), Spec("high", priority=5), Spec("mid")]
    plan = run_pass(FRAMEWORK, [Candidate(worker(1)), Candidate(worker(2), 1, 1)], given_tasks)
    assert list(plan.placed) == ["high", "mid", "low"]


states = st.sampled_from(State)


@given(
    st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), states, st.integers(0, 2)), max_size=40)
)
def test_the_load_equals_the_assignments(owned):
    nodes = [worker(n).__class__(f"w-{n}", "h", incarnation=1) for n in (1, 2)]
    resources = [
        Resource(
            Spec(f"t{n}"),
            owner=Owner(f"w-{node}", "h", incarnation) if node else None,
            state=state,
        )
        for n, (node, state, incarnation) in enumerate(owned)
    ]
    random.Random(1).shuffle(resources)
    for candidate in snapshot.take(nodes, resources):
        mine = [r for r in resources if r.owner and candidate.node.owns(r.owner)]
        assert candidate.owned == len(mine)
        assert candidate.unfinished == sum(not r.state.finished for r in mine)
