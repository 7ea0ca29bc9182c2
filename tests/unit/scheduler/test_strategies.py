"""The built-in strategies, by what they do in passes."""

import subprocess
import sys

import pytest

from crawler.model.constraints import Constraints
from crawler.model.records import Spec
from crawler.scheduler.framework import Framework
from tests.unit.scheduler.cluster import (
    Cluster,
    counts,
    framework,
    ids,
    on,
    run,
    task,
    tasks,
    worker,
)

THREE = [worker(n) for n in (1, 2, 3)]


def test_round_robin_takes_turns_whatever_the_load():
    busy = [on(THREE[0], task(f"old-{n}")) for n in range(7)]
    plan = run(THREE, [*busy, *tasks(6)], framework("round-robin"))
    assert list(ids(plan).values()) == ["w-2", "w-3", "w-1", "w-2", "w-3", "w-1"]


def test_round_robin_goes_on_where_the_last_pass_ended():
    cluster = Cluster(THREE, tasks(6), framework("round-robin"))
    got = [ids(cluster.run(2)) for _ in range(3)]
    assert [sorted(each.values()) for each in got] == [
        ["w-1", "w-2"],
        ["w-1", "w-3"],
        ["w-2", "w-3"],
    ]


@pytest.mark.parametrize("strategy", ["round-robin", "weighted-round-robin"])
def test_who_missed_turns_gets_one_at_once_and_not_all(strategy):
    cluster = Cluster(THREE[:2], tasks(40, "early"), framework(strategy))
    cluster.run()
    cluster.cluster_state.workers.join(THREE[2])
    cluster.see(*tasks(9, "late"))
    late = list(ids(cluster.run()).values())
    assert late[0] == "w-3"
    assert sorted(late[1:7]) == ["w-1"] * 2 + ["w-2"] * 2 + ["w-3"] * 2


def test_weights_give_as_many_turns_and_mix_them():
    workers = [worker(n, labels={"weight": w}) for n, w in ((1, "4"), (2, "1"), (3, "0.5"))]
    plan = run(workers, tasks(110), framework("weighted-round-robin"))
    assert counts(plan) == {"w-1": 80, "w-2": 20, "w-3": 10}
    order = list(ids(plan).values())
    for start in range(0, 99, 11):
        assert order[start : start + 11].count("w-1") in (7, 8, 9)


@pytest.mark.parametrize("weight", ["0", "-1", "heavy", "", "nan", "inf", "1e-320"])
def test_what_is_no_weight_counts_as_one(weight):
    workers = [worker(1, labels={"weight": weight}), worker(2)]
    plan = run(workers, tasks(20), framework("weighted-round-robin"))
    assert counts(plan) == {"w-1": 10, "w-2": 10}


def test_random_gives_all_about_the_same_and_follows_no_order():
    plan = run(THREE, tasks(600), Framework("random", seed=3))
    assert all(150 < count < 250 for count in counts(plan).values())
    order = list(ids(plan).values())
    assert {tuple(order[n : n + 2]) for n in range(599)} == {
        (a.id, b.id) for a in THREE for b in THREE
    }


def test_consistent_hash_spreads_evenly():
    workers = [worker(n) for n in range(8)]
    plan = run(workers, tasks(1600), framework("consistent-hash"))
    assert all(140 < count < 260 for count in counts(plan).values())  # 200 ± 4 deviations


def test_consistent_hash_decides_alike_for_tasks_that_ask_for_different_things():
    alone = ids(run(THREE, tasks(40), framework("consistent-hash")))
    others = [task(f"task-{n}", constraints=Constraints(requests=(("cpu", n),))) for n in range(40)]
    assert ids(run(THREE, others, framework("consistent-hash"))) == alone


def test_consistent_hash_decides_alike_in_another_process():
    script = (
        "from tests.unit.scheduler.cluster import *\n"
        "nodes = [worker(n) for n in range(9)]\n"
        "print(*ids(run(nodes, tasks(20), framework('consistent-hash'))).values())"
    )
    command = [sys.executable, "-c", script]
    there = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    nodes = [worker(n) for n in range(9)]
    here = ids(run(nodes, tasks(20), framework("consistent-hash")))
    assert there.stdout.split() == list(here.values())


def test_a_switch_moves_nothing_and_counts_from_the_next_pass():
    judge = Framework("consistent-hash")
    cluster = Cluster(THREE, tasks(9), judge)
    before = ids(cluster.run())
    judge.switch(type(judge.policy)("round-robin"))
    cluster.see(*tasks(6, "more"))
    assert sorted(ids(cluster.run()).values()) == ["w-1"] * 2 + ["w-2"] * 2 + ["w-3"] * 2
    assert {r.name: r.owner.node_id for r in cluster.resources.values()}.items() >= before.items()


def test_a_spec_alone_is_placed_by_every_strategy():
    for strategy in framework().strategies:
        assert ids(run(THREE[:1], [task("a")], framework(strategy))) == {"a": "w-1"}
    assert Spec("a").constraints == Constraints()
