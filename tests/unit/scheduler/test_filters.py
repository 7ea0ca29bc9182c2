"""The built-in filters and scores about workers alone, by what they do in passes."""

import pytest

from crawler.model.constraints import Effect, Expression, Operator, Taint, Toleration
from crawler.model.records import WorkerLoad
from crawler.scheduler.framework import Framework
from tests.unit.scheduler.cluster import Cluster, asks, counts, ids, on, run, task, tasks, worker

GPU = {"gpu": "true"}


@pytest.mark.parametrize(("pin", "id"), [("w-2", "w-2"), ("2", "w-2"), ("a-2", "w-a-2")])
def test_a_pinned_task_goes_to_its_worker_only(pin, id):
    workers = [worker(1), worker("2"), worker("12"), worker("a-2")]
    if pin == "2":
        workers.pop()  # whose name ends like that too
    assert set(counts(run(workers, tasks(3, **asks(node=pin))))) == {id}


ELSEWHERE = "it may run on {} only, and no worker of that id or name is registered"


@pytest.mark.parametrize(
    ("pin", "names", "told"),
    [
        ("2", "1", "; there are 1: w-1"),
        ("eu2", ["us-1", "eu-1", "eu-2", "db"], "; nearest of 4: w-eu-2, w-eu-1, w-us-1"),
        ("worker-7", [*"123456789"], "; nearest of 9: w-7, w-9, w-8"),
        ("w-120", map(str, range(1, 110)), "; nearest of 109: w-20, w-12, w-10"),
        ("2", "", ", nor is any other"),
    ],
)
def test_a_pinned_task_waits_while_its_worker_is_not_there(pin, names, told):
    plan = run([worker(name) for name in names], tasks(1, **asks(node=pin)))
    assert plan.waiting["task-0"] == ELSEWHERE.format(pin) + told


def test_a_pinned_task_is_told_anew_when_its_worker_comes_or_goes():
    cluster = Cluster([worker(1)], tasks(1, **asks(node="2", requests=(("cpu", 2.0),))))
    assert cluster.run().waiting["task-0"].startswith(ELSEWHERE.format("2"))
    cluster.cluster_state.workers.join(worker(2, capacity={"cpu": 1.0}))
    [queue] = cluster.backlog.parked
    cluster.backlog.wake(queue)
    why = "no worker suits: w-2 has 1 of 1 cpu left, 2 is asked for; it may run on 2 only"
    assert cluster.run().waiting["task-0"] == why


def test_a_pin_to_nowhere_is_no_reason_while_pins_do_not_count():
    judge = Framework("least-load", disabled=["pinned"])
    short = tasks(1, **asks(node="2", requests=(("cpu", 2.0),)))
    plan = run([worker(1, capacity={"cpu": 1.0})], short, judge)
    assert plan.waiting["task-0"] == "no worker suits: w-1 has 1 of 1 cpu left, 2 is asked for"


@pytest.mark.parametrize("pin", ["", "2"])
def test_a_cordoned_or_leaving_worker_is_among_those_that_do_not_suit(pin):
    nodes = [worker(1), worker(2), worker(3, metadata={"draining": "true"})]
    cluster = Cluster(nodes, tasks(1, labels={"gpu": "yes"}, **asks(node=pin)))
    cluster.cluster_state.workers.cordon(frozenset({"w-2", "w-9"}))
    cordoned = "w-2 takes no tasks until `crawler uncordon`"
    assert cluster.run().waiting["task-0"] == (
        f"no worker suits: {cordoned}; it may run on 2 only"
        if pin
        else f"no worker suits: w-1 has no GPU; {cordoned}; w-3 is about to leave"
    )


@pytest.mark.parametrize(
    ("operator", "values", "fitting"),
    [
        (Operator.IN, ("a", "b"), {"w-a", "w-b"}),
        (Operator.NOT_IN, ("a",), {"w-b", "w-9", "w-none"}),
        (Operator.EXISTS, (), {"w-a", "w-b", "w-9"}),
        (Operator.DOES_NOT_EXIST, (), {"w-none"}),
        (Operator.GT, ("8",), {"w-9"}),
        (Operator.LT, ("10",), {"w-9"}),
    ],
)
def test_labels_are_required(operator, values, fitting):
    workers = [worker(v, labels={"x": v}) for v in ("a", "b", "9")] + [worker("none")]
    expression = Expression("x", operator, values)
    plan = run(workers, tasks(8, **asks(required=(expression,))))
    assert set(counts(plan)) == fitting


def test_the_expression_that_fails_is_named():
    required = (
        Expression("disk", Operator.EXISTS),
        Expression("zone", Operator.IN, ("a", "b")),
    )
    nodes = [worker(1, labels={"disk": ""}), worker(2, labels={"zone": "a"})]
    plan = run(nodes, tasks(1, **asks(required=required)))
    assert plan.waiting["task-0"] == (
        "no worker suits: w-1 does not have zone In a, b; w-2 does not have disk Exists"
    )


def test_labels_are_preferred_by_weight_while_the_load_allows():
    preferred = (
        Expression("zone", Operator.IN, ("a",), weight=4.0),
        Expression("disk", Operator.EXISTS, weight=1.0),
    )
    nodes = [worker(1, labels={"disk": ""}), worker(2, labels={"zone": "a"}), worker(3)]
    plan = run(nodes, tasks(17, **asks(preferred=preferred)))
    assert counts(plan) == {"w-2": 10, "w-1": 4, "w-3": 3}  # 8, 2 and 0 of 10 points ahead
    assert list(ids(plan).values())[:6] == ["w-2"] * 6


def test_taints_keep_tasks_off_that_do_not_tolerate_them():
    tainted = worker(1, taints=(Taint("for", "tests", Effect.NO_SCHEDULE),))
    plan = run([tainted], [task("a"), task("b", **asks(tolerations=(Toleration("for"),)))])
    assert ids(plan) == {"b": "w-1"}
    assert "w-1 has the taint for=tests:NoSchedule" in plan.waiting["a"]


def test_a_soft_taint_only_costs_points():
    soft = Taint("old", "", Effect.PREFER_NO_SCHEDULE)
    harder = (soft, Taint("slow", "", Effect.PREFER_NO_SCHEDULE))
    nodes = [worker(1, taints=harder), worker(2, taints=(soft,)), worker(3)]
    plan = run(nodes, tasks(18))
    assert counts(plan) == {"w-3": 11, "w-2": 6, "w-1": 1}
    tolerant = tasks(3, **asks(tolerations=(Toleration("old"), Toleration("slow"))))
    assert set(counts(run(nodes, tolerant)).values()) == {1}


def test_workers_with_the_spider_are_taken_and_without_any_it_is_placed_all_the_same():
    having, lacking = worker(1, spiders=frozenset({"books"})), worker(2, spiders=frozenset())
    busy = [on(having, task(f"old-{n}")) for n in range(9)]
    assert set(counts(run([having, lacking], [*busy, *tasks(2, spider="books")]))) == {"w-1"}
    assert set(counts(run([lacking], tasks(2, spider="books")))) == {"w-2"}


def test_a_worker_that_does_not_say_has_every_spider():
    assert ids(run([worker(1), worker(2, spiders=frozenset())], tasks(1)))["task-0"] == "w-1"


def test_a_run_that_failed_is_tried_elsewhere_if_there_is_anywhere():
    nodes = [worker(1), worker(2), worker(3, labels={"zone": "a"})]
    busy = [on(nodes[1], task(f"old-{n}")) for n in range(9)]
    only_there = asks(required=(Expression("zone", Operator.EXISTS),))
    given = [
        task("a", failed_on=["w-1", "w-3"]),
        task("c", failed_on=["w-3"], **only_there),
    ]
    placed = ids(run(nodes, [*busy, *given]))
    assert placed["a"] == "w-1", "not where it failed last, though less is done there"
    assert placed["c"] == "w-3", "the only one that suits"


def test_a_task_that_failed_without_a_gpu_tries_the_worker_with_one():
    nodes = [worker(1), worker(2, labels=GPU)]
    assert ids(run(nodes, [task("a", failed_on=["w-1"])])) == {"a": "w-2"}


@pytest.mark.parametrize("has", [{"labels": GPU}, {"capacity": {"gpu": 4.0}}])
@pytest.mark.parametrize("needs", [{"labels": GPU}, asks(requests=(("gpu", 1.0),))])
def test_a_task_that_needs_a_gpu_goes_only_where_one_is(has, needs):
    plan = run([worker(1, **has), worker(2)], tasks(3, **needs))
    assert counts(plan) == {"w-1": 3}
    assert "w-2 has no GPU" in run([worker(2)], tasks(1, **needs)).waiting["task-0"]


def test_other_tasks_are_kept_off_gpus_while_others_have_room():
    nodes = [
        worker(1, labels=GPU),
        worker(2, capacity={"cpu": 3.0}),
        worker(3, labels={"gpu": "no"}),
    ]
    assert counts(run(nodes, tasks(50))) == {"w-2": 25, "w-3": 25}
    plan = run(nodes[:2], tasks(5, **asks(requests=(("cpu", 1.0),))))
    assert list(ids(plan).values()) == ["w-2"] * 3 + ["w-1"] * 2


def test_quantities_fill_up_to_the_last_bit():
    nodes = [worker(1, capacity={"cpu": 0.3, "memory": 100}), worker(2, capacity={"cpu": 1})]
    plan = run(nodes, tasks(14, **asks(requests=(("cpu", 0.1), ("memory", 10.0)))))
    assert counts(plan) == {"w-1": 3, "w-2": 10}
    [why] = plan.waiting.values()
    assert "w-1 has 0 of 0.3 cpu left, 0.1 is asked for" in why


def test_what_a_worker_does_not_say_is_unlimited_for_cpu_and_nothing_for_the_rest():
    assert len(run([worker(1)], tasks(99, **asks(requests=(("cpu", 9.0),)))).placed) == 99
    [why] = run([worker(1)], tasks(1, **asks(requests=(("licence", 1.0),)))).waiting.values()
    assert "has 0 of 0 licence left, 1 is asked for" in why


def test_gpus_are_counted_where_they_are_told_and_not_where_a_label_says_yes():
    nodes = [worker(1, capacity={"gpu": 2.0}), worker(2, labels=GPU)]
    plan = run(nodes, tasks(9, **asks(requests=(("gpu", 1.0),))))
    assert counts(plan) == {"w-1": 2, "w-2": 7}


def test_a_finished_task_gives_back_what_it_took():
    node = worker(1, capacity={"cpu": 1.0})
    cluster = Cluster([node], tasks(2, **asks(requests=(("cpu", 1.0),))))
    [first] = cluster.run().placed
    done = cluster.resources[first]
    cluster.see(done.replace(state=type(done.state).DONE))
    assert len(cluster.run_all()) == 0  # parked until somebody wakes it
    for queue in cluster.backlog.parked:
        cluster.backlog.wake(queue)
    assert len(cluster.run().placed) == 1


def test_the_real_load_counts_once_it_has_a_weight():
    nodes = [worker(1), worker(2), worker(3)]
    reports = {"w-1": WorkerLoad(cpu=0.9), "w-2": WorkerLoad(cpu=0.1, lag_s=7.0)}

    def placed(judge):
        cluster = Cluster(nodes, tasks(6), judge)
        for id, load in reports.items():
            cluster.cluster_state.workers.report(id, load)
        return counts(cluster.run())

    assert placed(Framework("least-load")) == {"w-1": 2, "w-2": 2, "w-3": 2}
    assert placed(Framework("least-load", weights={"real-load": 100.0})) == {"w-3": 6}
