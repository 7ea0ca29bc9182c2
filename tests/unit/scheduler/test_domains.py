"""Affinity and spread: what is judged over places, by what it does in passes."""

import pytest

from crawler.model.constraints import Neighbour, Spread
from crawler.scheduler.framework import Framework
from tests.unit.scheduler.cluster import Cluster, asks, counts, ids, on, run, task, tasks, worker

WEB, DB = {"app": "web"}, {"app": "db"}
A1, A2, B1, B2 = (worker(f"{zone}{n}", labels={"zone": zone}) for zone in "ab" for n in (1, 2))
NOWHERE = worker("x")
ALL = [A1, A2, B1, B2, NOWHERE]


def zones(plan):
    """How many tasks each zone got."""
    found = {}
    for node in plan.placed.values():
        zone = node.labels.get("zone", "")
        found[zone] = found.get(zone, 0) + 1
    return found


def apart(over, value="", weight=0.0):
    return asks(apart=(Neighbour("app", value, over, weight),))


def near(over, value="", weight=0.0):
    return asks(near=(Neighbour("app", value, over, weight),))


def spread(over="zone", skew=1, weight=0.0, value=""):
    return asks(spread=(Spread(over, "app", value, skew, weight),))


def test_apart_over_nodes_puts_one_on_each():
    plan = run(ALL, tasks(7, labels=WEB, **apart("node")))
    assert set(counts(plan).values()) == {1}
    assert len(plan.placed) == 5
    assert "w-a1 has a task with app=web" in plan.waiting["task-6"]


def test_apart_over_zones_puts_one_in_each_and_leaves_alone_who_is_in_none():
    plan = run(ALL, tasks(6, labels=WEB, **apart("zone")))
    assert zones(plan) == {"a": 1, "b": 1, "": 4}
    [why] = run(ALL[:1], tasks(2, labels=WEB, **apart("zone"))).waiting.values()
    assert why == "no worker suits: w-a1 is in zone a, which has a task with app=web"


@pytest.mark.parametrize("over", ["node", "zone"])
def test_to_be_apart_holds_both_ways(over):
    """The task that is there wants to be apart; the one that comes does not care."""
    shy = on(A1, task("shy", labels=DB, **apart(over, "web")))
    plan = run([A1, A2], [shy, task("a", labels=WEB), task("b", labels=DB), task("c")])
    assert plan.placed["b"] is A2 or plan.placed["c"] is A2
    if over == "node":
        assert plan.placed["a"] is A2
    else:
        assert plan.waiting["a"] == (
            "no worker suits: w-a1 is in zone a, which has a task that stays apart from app=web; "
            "w-a2 is in zone a, which has a task that stays apart from app=web"
        )


@pytest.mark.parametrize("over", ["node", "zone"])
def test_it_holds_towards_a_task_placed_a_moment_ago(over):
    """Its queue had its turn before, and comes again."""
    groups = {"labels": WEB | {"team": "x"}}, {"labels": DB | {"team": "y"}, **apart(over, "web")}
    given = [*tasks(20, "web", **groups[0]), *tasks(20, "shy", **groups[1])]
    plan = run([A1, B1], given, group_label="team")
    where = [
        {plan.placed[r.name].id for r in given[n : n + 20] if r.name in plan.placed}
        for n in (0, 20)
    ]
    assert not where[0] & where[1]


def test_a_finished_task_repels_nobody():
    shy = on(A1, task("shy", **apart("node", "web")))
    done = shy.replace(state=type(shy.state).DONE)
    assert ids(run([A1], [done, task("a", labels=WEB)])) == {"a": "w-a1"}


@pytest.mark.parametrize("over", ["node", "zone"])
def test_near_its_own_kind_the_first_goes_anywhere_and_the_rest_follow(over):
    plan = run(ALL, tasks(6, labels=WEB, **near(over)))
    assert len(plan.placed) == 6
    assert len({n.id if over == "node" else n.labels["zone"] for n in plan.placed.values()}) == 1


@pytest.mark.parametrize("over", ["node", "zone"])
def test_near_another_kind_waits_for_it(over):
    plan = run(ALL, tasks(2, labels=WEB, **near(over, "db")))
    assert "has no task with app=db" in plan.waiting["task-0"]
    plan = run(ALL, [on(B2, task("db", labels=DB)), *tasks(4, labels=WEB, **near(over, "db"))])
    assert set(counts(plan)) == ({"w-b2"} if over == "node" else {"w-b1", "w-b2"})


def test_the_first_of_a_kind_is_not_first_when_the_others_are_where_it_may_not_go():
    gpu = worker("c1", labels={"zone": "c", "gpu": "yes"})
    there = on(A1, task("there", labels=WEB))
    picky = task("picky", labels=WEB | {"gpu": "yes"}, **near("zone"))
    [why] = run([A1, gpu], [there, picky]).waiting.values()
    assert "w-c1 is in zone c, which has no task with app=web" in why


def test_who_is_in_no_zone_is_near_to_nobody():
    [why] = run([NOWHERE], tasks(1, labels=WEB, **near("zone"))).waiting.values()
    assert "w-x has no label zone" in why


@pytest.mark.parametrize("over", ["node", "zone"])
def test_preferences_among_tasks_count_as_ten_tasks(over):
    there = [on(B1, task("db", labels=DB))]
    plan = run(ALL, [*there, *tasks(3, labels=WEB, **near(over, "db", 1.0))])
    assert set(counts(plan)) <= ({"w-b1"} if over == "node" else {"w-b1", "w-b2"})
    there = [
        on(B1, task("db", labels=DB)),
        *[on(n, task(n.id)) for n in ALL if n is not B1 for _ in "12"],
    ]
    plan = run(ALL, [*there, *tasks(3, labels=WEB, **apart(over, "db", 1.0))])
    assert "w-b1" not in counts(plan)
    crowd = [on(n, task(f"{n.id}-{k}")) for n in ALL if n is not B1 for k in range(15)]
    plan = run(ALL, [there[0], *crowd, *tasks(3, labels=WEB, **apart(over, "db", 1.0))])
    assert set(counts(plan)) == {"w-b1"}


def test_preferences_weigh_against_each_other():
    wishes = (Neighbour("app", "web", "zone", 1.0), Neighbour("app", "db", "zone", 3.0))
    there = [on(A1, task("w", labels=WEB)), on(B1, task("d", labels=DB))]
    assert set(zones(run(ALL, [*there, *tasks(4, **asks(near=wishes))]))) == {"b"}


def test_spread_keeps_within_the_skew_whatever_the_number_of_workers():
    workers = [A1, *[worker(f"b{n}", labels={"zone": "b"}) for n in range(5)]]
    assert zones(run(workers, tasks(10, labels=WEB, **spread()))) == {"a": 5, "b": 5}
    plan = run([A1, B1], [*tasks(9, labels=WEB, **spread(skew=2))])
    assert abs(zones(plan)["a"] - zones(plan)["b"]) <= 2


def test_spread_waits_where_the_emptiest_place_is_full():
    full = worker("a1", labels={"zone": "a"}, capacity={"slot": 1.0})
    wide = worker("b1", labels={"zone": "b"}, capacity={"slot": 9.0})
    asked = asks(spread=(Spread("zone", "app"),), requests=(("slot", 1.0),))
    plan = run([full, wide], tasks(5, labels=WEB, **asked))
    assert zones(plan) == {"a": 1, "b": 2}
    assert (
        "w-b1 is in zone b, which has 2 tasks with app=web; at most 1 more than the fewest are "
        "allowed" in plan.waiting["task-4"]
    )


def test_spread_does_not_count_places_that_the_task_cannot_go_to():
    tainted = worker("c1", labels={"zone": "c"}, spiders=frozenset())
    assert len(run([A1, B1, tainted], tasks(8, labels=WEB, **spread())).placed) == 8


def test_spread_counts_those_that_are_there_and_keeps_off_workers_in_no_place():
    there = [on(A1, each) for each in tasks(3, "old", labels=WEB)]
    assert zones(run(ALL, [*there, *tasks(3, labels=WEB, **spread())])) == {"b": 3}
    [why] = run([NOWHERE], tasks(1, labels=WEB, **spread())).waiting.values()
    assert "w-x has no label zone" in why


def test_spread_over_nodes():
    workers = [worker(1), worker(2)]
    busy = [on(workers[0], task(f"old-{n}")) for n in range(9)]
    assert counts(run(workers, [*busy, *tasks(6, labels=WEB, **spread("node"))])) == {
        "w-1": 3,
        "w-2": 3,
    }


def test_a_task_that_is_not_of_the_kind_counts_the_others_only():
    there = [on(A1, each) for each in tasks(1, "old", labels=WEB)]
    assert len(run([A1, B1], [*there, *tasks(9, labels=DB, **spread(value="web"))]).placed) == 9


def test_spread_may_be_a_wish():
    workers = [A1, *[worker(f"b{n}", labels={"zone": "b"}) for n in range(3)]]
    assert zones(run(workers, tasks(8, labels=WEB, **spread(weight=1.0)))) == {"a": 4, "b": 4}
    full = worker("a1", labels={"zone": "a"}, capacity={"cpu": 0.0})
    asked = asks(spread=(Spread("zone", "app", weight=1.0),), requests=(("cpu", 1.0),))
    assert zones(run([full, B1], tasks(4, labels=WEB, **asked))) == {"b": 4}


def test_terms_about_a_value_that_nobody_names_say_nothing():
    asked = asks(
        near=(Neighbour("app"),), apart=(Neighbour("app"),), spread=(Spread("zone", "app"),)
    )
    assert len(run(ALL, tasks(9, **asked)).placed) == 9


def test_without_the_plugin_nobody_asks():
    judge = Framework("least-load", disabled=["affinity"])
    cluster = Cluster(ALL, tasks(12, labels=WEB, **apart("node")), judge)
    assert len(cluster.run().placed) == 12
