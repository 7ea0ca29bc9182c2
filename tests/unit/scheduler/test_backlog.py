"""The backlog: whose turn it is, who is parked, and who is left out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.model.records import Spec
from crawler.scheduler.backlog import Backlog, Group
from crawler.scheduler.task import Task
from tests.depth import examples
from tests.unit.scheduler.cluster import Cluster, counts, ids, tasks, worker


def offered(backlog, name, priority=0, since_s=0.0, group="", shape="any"):
    backlog.offer(name, Task(Spec(name, priority=priority)), shape, group, since_s)


def served(backlog, owned=None, most=1000):
    """The tasks in the order of their turns."""
    owned = {} if owned is None else owned
    order = []
    for turn in backlog.turns(owned):
        for name in turn:
            backlog.pop(name)
            order.append(name)
            owned[turn.queue.group] = owned.get(turn.queue.group, 0) + 1
            if len(order) == most:
                return order
    return order


def test_priority_comes_first_then_who_waits_longer_then_the_name():
    backlog = Backlog()
    offered(backlog, "c", since_s=5.0)
    offered(backlog, "b", since_s=5.0)
    offered(backlog, "a", since_s=9.0)
    offered(backlog, "urgent", priority=1, since_s=99.0)
    offered(backlog, "patient", priority=-1, since_s=0.0)
    assert served(backlog) == ["urgent", "b", "c", "a", "patient"]
    assert len(backlog) == 0


def test_priority_counts_between_tasks_that_ask_for_different_things():
    backlog = Backlog()
    for n in range(6):
        offered(backlog, f"t-{n}", priority=n % 3, since_s=n, shape=n % 2)
    assert [name[2:] for name in served(backlog)] == ["2", "5", "1", "4", "0", "3"]


def test_waiting_raises_a_task_by_one_priority_each_time():
    backlog = Backlog(ageing_s=10.0)
    offered(backlog, "old", priority=0, since_s=0.0)
    offered(backlog, "new and urgent", priority=3, since_s=35.0)
    offered(backlog, "new and very urgent", priority=4, since_s=35.0, shape="other")
    assert served(backlog) == ["new and very urgent", "old", "new and urgent"]


@settings(max_examples=examples(150))
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 40), st.integers(0, 2)), max_size=25),
    st.sampled_from([0.0, 10.0]),
)
def test_no_task_is_served_before_one_of_a_higher_level(waiting, ageing_s):
    backlog = Backlog(ageing_s)
    for n, (priority, since_s, shape) in enumerate(waiting):
        offered(backlog, f"{n:02}", priority, since_s, shape=shape)

    def level(name):
        priority, since_s, _ = waiting[int(name)]
        return (since_s // ageing_s if ageing_s else 0) - priority

    order = served(backlog)
    assert sorted(order) == [f"{n:02}" for n in range(len(waiting))]
    assert [level(name) for name in order] == sorted(level(name) for name in order)
    for shape in range(3):  # within what asks the same it is exact
        alike = [name for name in order if waiting[int(name)][2] == shape]
        assert alike == sorted(alike, key=lambda name: (level(name), waiting[int(name)][1], name))


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=30))
def test_those_that_come_late_stand_where_they_belong(late):
    """One by one, while many wait; some of them for the second time, and some are gone again."""
    backlog = Backlog()
    waiting = {f"{n:02}": float(n) for n in range(60)}
    for name, since_s in waiting.items():
        offered(backlog, name, since_s=since_s)
    order = served(backlog, most=5)
    for n, since_s in late:
        offered(backlog, f"{n:02}", since_s=since_s)
        waiting[f"{n:02}"] = since_s
        order += served(backlog, most=1)
        gone = f"{since_s:02}"
        backlog.withdraw(gone)
        waiting.pop(gone, None)
        left = [name for name in waiting if name in backlog]
        first = min(left, key=lambda name: (waiting[name], name), default=None)
        assert next((turn.queue.head()[2] for turn in backlog.turns({})), None) == first


def test_offered_anew_a_task_stands_where_it_should_now():
    backlog = Backlog()
    for name in ("a", "b", "c"):
        offered(backlog, name)
    offered(backlog, "c", priority=7)
    offered(backlog, "a", priority=-7)
    offered(backlog, "b", shape="other", group="x")
    assert len(backlog) == 3
    assert sorted(served(backlog)) == ["a", "b", "c"]


@settings(max_examples=examples(150))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "offer", "withdraw", "serve", "park", "wake"]),
            st.integers(0, 5),
            st.integers(-1, 1),
            st.integers(0, 1),
        ),
        max_size=40,
    )
)
def test_nothing_is_lost_and_nothing_is_served_twice(steps):
    """Whatever is offered, withdrawn, served, parked and woken in whichever order."""
    backlog, waiting = Backlog(), {}
    for step, n, priority, shape in steps:
        if step == "offer":
            offered(backlog, f"t{n}", priority, n, shape=shape, group=str(shape))
            waiting[f"t{n}"] = shape
        elif step == "withdraw":
            backlog.withdraw(f"t{n}")
            waiting.pop(f"t{n}", None)
        elif step == "serve":
            for name in served(backlog, most=1):
                waiting.pop(name)
        else:
            for queue in list(backlog.queues):
                if queue.shape == shape:
                    backlog.park(queue, {}) if step == "park" else backlog.wake(queue)
        assert set(backlog) == waiting.keys()
        assert len(backlog) == len(waiting)
    for queue in backlog.parked:
        backlog.wake(queue)
    assert sorted(served(backlog)) == sorted(waiting)


def test_groups_share_by_their_shares_while_both_wait():
    groups = {"a": Group(share=3.0), "*": Group()}
    cluster = Cluster([worker(1)], group_label="team", groups=groups)
    cluster.see(*tasks(400, "a", labels={"team": "a"}), *tasks(400, "b", labels={"team": "b"}))
    placed = list(ids(cluster.run(400)))
    assert abs(sum(name.startswith("a") for name in placed) - 300) <= 16
    cluster.run(400)
    assert cluster.cluster_state.workers.groups == {"a": 400, "b": 400}


def test_what_a_group_has_already_counts():
    cluster = Cluster([worker(1)], tasks(50, "a", labels={"team": "a"}), group_label="team")
    cluster.run()
    cluster.see(*tasks(99, "b", labels={"team": "b"}), *tasks(99, "c", labels={"team": "a"}))
    assert {name[0] for name in cluster.run(48).placed} == {"b"}


def test_a_group_has_no_more_at_work_than_it_may_and_is_told_so():
    groups = {"a": Group(most=3)}
    cluster = Cluster([worker(1)], group_label="team", groups=groups)
    cluster.see(*tasks(5, "a", labels={"team": "a"}), *tasks(9, "b", labels={"team": "b"}))
    plan = cluster.run()
    assert cluster.cluster_state.workers.groups == {"a": 3, "b": 9}
    assert set(plan.waiting.values()) == {
        "group 'a' has its 3 tasks at work, as many as it may have"
    }
    assert len(plan.waiting) == 2
    first = cluster.resources["a-0"]
    cluster.see(first.replace(state=type(first.state).DONE))
    assert len(cluster.run().placed) == 1


def test_priority_counts_within_a_group_only():
    cluster = Cluster([worker(1)], group_label="team")
    cluster.see(*tasks(40, "a", labels={"team": "a"}, priority=9))
    cluster.see(*tasks(40, "b", labels={"team": "b"}))
    placed = list(ids(cluster.run(40)))
    assert 8 <= sum(name.startswith("b") for name in placed) <= 32


def test_a_parked_queue_waits_to_be_woken_and_the_others_go_on():
    needs = {"labels": {"gpu": "yes"}}
    cluster = Cluster([worker(1)], [*tasks(3, "gpu", **needs), *tasks(3)])
    assert len(cluster.run().placed) == 3
    [queue] = cluster.backlog.parked
    assert set(queue) == {"gpu-0", "gpu-1", "gpu-2"}
    assert queue.reasons == {"w-1": "has no GPU"}
    cluster.cluster_state.workers.join(worker(2, labels={"gpu": "yes"}))
    assert cluster.run().placed == {}
    cluster.backlog.wake(queue)
    assert counts(cluster.run()) == {"w-2": 3}


def test_a_task_that_joins_a_parked_queue_learns_why_it_waits():
    cluster = Cluster([worker(1)], tasks(1, "a", labels={"gpu": "yes"}))
    cluster.run()
    cluster.see(*tasks(1, "b", labels={"gpu": "yes"}))
    [queue] = cluster.backlog.parked
    assert "has no GPU" in cluster.run().waiting["b-0"]
    assert cluster.backlog.queue_of("b-0") is queue


@pytest.mark.parametrize("waiting", [1, 40])
def test_an_empty_backlog_gives_no_turn(waiting):
    backlog = Backlog()
    for n in range(waiting):
        offered(backlog, f"t{n}", shape=n)
        backlog.withdraw(f"t{n}")
    assert list(backlog.turns({})) == []
    assert not backlog.queues
