"""A pass of the scheduler: what it says, and what it keeps in mind while it places."""

from crawler.model.records import Node, Resource, Spec, State
from tests.unit.scheduler.cluster import Cluster, asks, counts, ids, on, run, task, tasks, worker


def test_five_tasks_on_two_workers_split_three_and_two():
    plan = run([worker(1), worker(2)], tasks(5))
    assert sorted(counts(plan).values()) == [2, 3]
    assert plan.waiting == {}


def test_ties_go_to_who_owns_fewer_then_by_id():
    one, two = worker(1), worker(2)
    done = [on(one, task(f"done-{n}"), State.DONE) for n in range(2)]
    assert ids(run([one, two], [*done, task("a")]))["a"] == "w-2"
    assert ids(run([two, one], [task("a")]))["a"] == "w-1"


def test_higher_priority_is_placed_first():
    given = [task("low", priority=-1), task("high", priority=5), task("mid")]
    assert list(run([worker(1), worker(2)], given).placed) == ["high", "mid", "low"]


def test_no_more_is_placed_in_a_pass_than_it_may():
    cluster = Cluster([worker(1)], tasks(5))
    assert [len(cluster.run(2).placed) for _ in range(4)] == [2, 2, 1, 0]


def test_what_cannot_be_placed_says_why_for_each_worker_and_only_once():
    cluster = Cluster([worker(1), worker(2)], [task("a", labels={"gpu": "1"}), task("b")])
    plan = cluster.run()
    assert ids(plan) == {"b": "w-1"}
    assert plan.waiting == {"a": "no worker suits: w-1 has no GPU; w-2 has no GPU"}
    assert cluster.run().waiting == {}


def test_many_reasons_are_counted_and_not_told():
    plan = run([worker(n) for n in range(8)], [task("a", labels={"gpu": "1"})])
    assert plan.waiting["a"].count("has no GPU") == 5
    assert plan.waiting["a"].endswith("; and 3 more")


def test_without_a_worker_it_says_so():
    assert "no worker is registered" in run([], tasks(1)).waiting["task-0"]


def test_workers_that_leave_or_are_cordoned_get_nothing():
    leaving = worker(1, metadata={"draining": "true"})
    cluster = Cluster([leaving, worker(2), worker(3)], tasks(4))
    cluster.cluster_state.workers.cordon(frozenset({"w-2"}))
    assert set(cluster.run_all().values()) == {"w-3"}


def test_tasks_of_several_shapes_see_what_the_others_took():
    node = worker(1, capacity={"cpu": 1.0})
    small, large = asks(requests=(("cpu", 0.5),)), asks(requests=(("cpu", 0.75),))
    given = [task("a", **small), task("b", priority=1, **large)]
    plan = run([node], given)
    assert ids(plan) == {"b": "w-1"}
    assert plan.waiting == {
        "a": "no worker suits: w-1 has 0.25 of 1 cpu left, 0.5 is asked for",
    }


def test_many_shapes_in_turn_see_each_other():
    """More than are kept in order at once."""
    workers = [worker(n, capacity={"slot": 3.0}) for n in range(50)]
    given = [
        Resource(Spec(f"t-{n}", spider=f"s-{n % 70}", **asks(requests=(("slot", 1.0),))))
        for n in range(151)
    ]
    plan = run(workers, given)
    assert set(counts(plan).values()) == {3}
    assert len(plan.waiting) == 1


def test_a_task_that_is_gone_is_left_out():
    cluster = Cluster([worker(1)], tasks(2))
    cluster.offer(task("ghost"), 0.0)
    assert ids(cluster.run()).keys() == {"task-0", "task-1"}


def test_an_assignment_to_an_earlier_life_of_a_worker_is_no_load():
    old, new = Node("w-1", "h:1", incarnation=5), Node("w-1", "h:1", incarnation=9)
    given = [on(old, each) for each in tasks(3)]
    assert ids(run([new, worker(2)], [*given, task("a")]))["a"] == "w-1"
