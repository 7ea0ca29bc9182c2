"""Plugins: asked, weighed, switched, and kept from doing harm."""

import time

import pytest

from crawler.errors import ConfigError
from crawler.model.constraints import Expression, Operator
from crawler.scheduler.framework import Framework, Policy
from crawler.scheduler.hookspecs import Strategy
from tests.unit.scheduler import plugins
from tests.unit.scheduler.cluster import Cluster, asks, counts, ids, run, task, tasks, worker

NODES = [worker(1), worker(2)]
UNHURRIED_S = 600.0
"""A pause of the machine shall not look like a slow plugin."""


def test_a_plugin_filters_and_scores(plugin):
    name = plugin("never_one", filter_nodes=lambda task, nodes: {"w-1": "under repair"})
    assert counts(run(NODES, tasks(4), Framework("least-load", [name]))) == {"w-2": 4}
    for hook in ("score_nodes", "score_room"):
        name = plugin("likes_two", **{hook: lambda nodes: [float(n.id == "w-2") for n in nodes]})
        judge = Framework("least-load", [name])
        assert list(ids(run(NODES, tasks(4), judge)).values()) == ["w-2", "w-1", "w-2", "w-1"]
        judge = Framework("least-load", [name], weights={name: 4.0})
        assert counts(run(NODES, tasks(4), judge)) == {"w-2": 4}


def test_a_plugin_judges_room_and_places(plugin):
    name = plugin(
        "few",
        filter_room=lambda task, nodes: {n.id: "has two" for n in nodes if n.unfinished >= 2},
        topology=lambda task: ["zone"],
        filter_domains=lambda key, domains: {
            d.value: "is closed" for d in domains if key in d.value
        },
        score_domains=lambda task, key, domains: [float(d.value == "b") for d in domains],
    )
    zones = [worker(n, labels={"zone": zone}) for n, zone in enumerate(("a", "b", "zone-c"))]
    plan = run(zones, tasks(5), Framework("least-load", [name], weights={name: 9.0}))
    assert list(ids(plan).values()) == ["w-1", "w-1", "w-0", "w-0"]
    assert plan.waiting == {"task-4": "no worker suits: w-0 has two; w-1 has two; w-2 is closed"}


def test_one_that_says_nothing_about_one_label_is_asked_about_the_next(plugin):
    name = plugin(
        "racks",
        topology=lambda task: ["zone", "rack"],
        filter_domains=lambda key, domains: None if key == "zone" else {"r": "is hot"},
        score_domains=lambda key, domains: None if key == "zone" else [0.5] * len(domains),
    )
    nodes = [worker(1, labels={"rack": "r"}), worker(2, labels={"rack": "s"})]
    assert counts(run(nodes, tasks(3), Framework("least-load", [name]))) == {"w-2": 3}


def test_who_says_nothing_is_not_asked_again(plugin):
    calls = []
    name = plugin("shy", filter_room=lambda task, nodes: calls.append(len(nodes)))
    run(NODES, tasks(50), Framework("least-load", [name]))
    assert calls == [2]


def test_each_hook_is_asked_about_a_shape_with_all_workers_and_then_about_the_chosen(plugin):
    calls = []

    def told(hook, answer):
        def function(task, nodes):
            calls.append((hook, task.spider_name, [n.id for n in nodes]))
            return answer(nodes)

        return function

    name = plugin(
        "watcher",
        task_labels=lambda: (),
        filter_nodes=told("filter", lambda nodes: {}),
        score_nodes=told("score", lambda nodes: [0.0] * len(nodes)),
        filter_room=told("room", lambda nodes: {}),
        score_room=told("room score", lambda nodes: [0.0] * len(nodes)),
    )
    many = [*tasks(2, "a", spider="x", labels={"n": "1"}), *tasks(1, "b", spider="x")]
    run(NODES, many, Framework("least-load", [name]))
    both = ["w-1", "w-2"]
    assert calls == [
        *[(hook, "x", both) for hook in ("filter", "score", "room", "room score")],
        *[(hook, "x", [id]) for id in ("w-1", "w-2", "w-1") for hook in ("room", "room score")],
    ]


def test_tasks_that_differ_in_a_label_that_is_looked_at_are_judged_apart(plugin):
    def refuse(task, nodes):
        return {n.id: "is not yours" for n in nodes if n.id != task.labels["home"]}

    at_home = [task(id, spider="x", labels={"home": id}) for id in ("w-1", "w-2")]
    for more in ({"task_labels": lambda: ["home"]}, {}):
        name = plugin("homes", filter_nodes=refuse, **more)
        assert ids(run(NODES, at_home, Framework("least-load", [name]))) == {
            "w-1": "w-1",
            "w-2": "w-2",
        }


def test_a_plugin_brings_strategies(plugin):
    class Same(Strategy):
        def __init__(self, random):
            super().__init__(random)
            self.last = "w-2"

        def rate(self, task, nodes):
            return [n.id == self.last for n in nodes]

    name = plugin("some", strategies=lambda: {"last": lambda task, nodes: [0, 1], "same": Same})
    assert counts(run(NODES, tasks(1), Framework("last", [name]))) == {"w-2": 1}
    assert counts(run(NODES, tasks(3), Framework("same", [name]))) == {"w-2": 3}
    assert {"last", "same"} <= set(Framework("last", [name]).strategies)


FAULTS = {
    "filter raises": {"filter_nodes": lambda task, nodes: 1 / 0},
    "filter of another type": {"filter_nodes": lambda task, nodes: ["w-1"]},
    "room raises": {"filter_room": lambda task, nodes: 1 / 0},
    "room of another type": {"filter_room": lambda task, nodes: True},
    "too few scores": {"score_nodes": lambda task, nodes: [1.0]},
    "score raises": {"score_nodes": lambda task, nodes: 1 / 0},
    "score above 1": {"score_nodes": lambda task, nodes: [2.0] * len(nodes)},
    "score is no number": {"score_room": lambda task, nodes: ["best"] * len(nodes)},
    "score is no sequence": {"score_nodes": lambda task, nodes: (0.5 for _ in nodes)},
    "score is not finite": {"score_room": lambda task, nodes: [float("nan")] * len(nodes)},
    "topology is a text": {"topology": lambda task: "zone"},
    "topology raises": {"topology": lambda task: 1 / 0},
    "domains raise": {"topology": lambda task: ["zone"], "filter_domains": lambda key: 1 / 0},
    "domain score raises": {"topology": lambda task: ["zone"], "score_domains": lambda key: 1 / 0},
}


@pytest.mark.parametrize("faulty", FAULTS.values(), ids=FAULTS.keys())
def test_a_faulty_plugin_is_named_and_counted_and_the_placement_goes_on(plugin, faulty, caplog):
    framework = Framework("least-load", [plugin("faulty", **faulty)])
    cluster = Cluster(NODES, [*tasks(4), *tasks(4, "other", spider="b")], framework)
    assert counts(cluster.run()) == {"w-1": 4, "w-2": 4}
    told = [r.fields for r in caplog.records if r.fields.get("plugin") == "faulty"]
    assert len(told) == 1  # left out for the rest of the pass, whatever is asked
    assert told[0]["hook"] in faulty
    assert told[0]["error"]
    assert plugins.found(framework, "faulty").failures == 1
    cluster.see(*tasks(1, "late"))
    cluster.run()
    assert plugins.found(framework, "faulty").failures == 2  # the next pass asks it again


def odd_about(id, answer):
    """A hook that fails about one worker, as on a label that nobody thought of."""

    def hook(task, nodes):
        return [answer(float("x") if node.id == id else node.unfinished) for node in nodes]

    return hook


def filtering(hook):
    return lambda task, nodes: dict(zip([], hook(task, nodes)))


ABOUT_ONE = {
    "a filter": {"filter_nodes": filtering(odd_about("w-2", float))},
    "a filter of room": {"filter_room": filtering(odd_about("w-2", float))},
    "points": {"score_nodes": odd_about("w-2", lambda unfinished: 1.0)},
    "points for room": {"score_room": odd_about("w-2", lambda unfinished: 1.0)},
    "a rating": {
        "strategies": lambda: {"odd": odd_about("w-2", lambda unfinished: -float(unfinished))}
    },
}


@pytest.mark.parametrize("hooks", ABOUT_ONE.values(), ids=ABOUT_ONE.keys())
def test_a_plugin_that_fails_about_one_worker_costs_that_worker_alone(plugin, hooks, caplog):
    name = plugin("odd", **hooks)
    strategy = "odd" if "strategies" in hooks else "least-load"
    framework = Framework(strategy, [name], slow_s=UNHURRIED_S)
    framework.switch(Policy(framework.policy.strategy, frozenset(), {name: 100.0}))
    cluster = Cluster([worker(n) for n in (1, 2, 3)], tasks(6), framework)
    assert counts(cluster.run()) == {"w-1": 3, "w-3": 3}
    [told] = [r.fields for r in caplog.records if r.fields.get("plugin") == "odd"]
    assert told["workers"] == {"w-2": "ValueError: could not convert string to float: 'x'"}
    assert plugins.found(framework, "odd").failures == 1


def test_a_worker_about_which_the_strategy_fails_gets_what_no_other_can_take(plugin):
    name = plugin(
        "odd", strategies=lambda: {"odd": odd_about("w-2", lambda unfinished: -float(unfinished))}
    )
    pinned = task("only", **asks(node="w-2"))
    assert ids(run([worker(1), worker(2)], [pinned, *tasks(2)], Framework("odd", [name]))) == {
        "only": "w-2",
        "task-0": "w-1",
        "task-1": "w-1",
    }


def test_a_task_that_waits_because_a_filter_fails_about_its_worker_says_so(plugin):
    name = plugin("odd", filter_nodes=filtering(odd_about("w-2", float)))
    pinned = task("only", **asks(node="w-2"))
    plan = run([worker(1), worker(2)], [pinned], Framework("least-load", [name]))
    assert "w-2 makes the plugin odd fail (ValueError: could" in plan.waiting["only"]


def test_a_plugin_that_fails_about_many_workers_is_at_fault_itself(plugin):
    asked = []

    def picky(task, nodes):
        asked.append(len(nodes))
        return {node.id: "no" for node in nodes if int(node.id[2:]) % 2 or 1 / 0}

    name = plugin("picky", filter_nodes=picky)
    framework = Framework("least-load", [name], slow_s=UNHURRIED_S)
    assert len(run([worker(n) for n in range(1000)], tasks(9), framework).placed) == 9
    assert len(asked) < 60
    assert [fault.error for fault in framework._failed.told] == [
        "ZeroDivisionError: division by zero"
    ]


def failing_about(*ids, refusing=(), calls=None):
    """A filter that fails about some workers, and refuses others."""

    def hook(task, nodes):
        if calls is not None:
            calls.append([node.id for node in nodes])
        if any(node.id in ids for node in nodes):
            raise ValueError("no such rack")
        return {node.id: "is hot" for node in nodes if node.id in refusing}

    return hook


def test_a_plugin_that_fails_about_the_only_worker_of_a_task_is_heard_about_the_others(plugin):
    name = plugin("racks", filter_room=failing_about("w-2", refusing=["w-3"]))
    pinned = task("only", **asks(node="w-2"))
    nodes = [worker(n) for n in (1, 2, 3)]
    plan = run(nodes, [pinned, *tasks(6)], Framework("least-load", [name], slow_s=UNHURRIED_S))
    assert counts(plan) == {"w-1": 6}
    assert "w-2 makes the plugin racks fail (ValueError: no such rack)" in plan.waiting["only"]


def test_a_plugin_that_was_heard_in_a_pass_may_fail_about_all_workers_of_a_task(plugin):
    name = plugin("racks", filter_room=failing_about("w-2", "w-3", refusing=["w-4"]))
    nodes = [worker(n, labels={"zone": "a" if n in (2, 3) else "b"}) for n in (1, 2, 3, 4)]
    early, late = (
        task(name, **asks(required=(Expression("zone", Operator.IN, (zone,)),)))
        for name, zone in (("early", "b"), ("late", "a"))
    )
    framework = Framework("least-load", [name], slow_s=UNHURRIED_S)
    plan = run(nodes, [early, late, *tasks(2)], framework)
    assert counts(plan) == {"w-1": 3}
    assert "w-3 makes the plugin racks fail" in plan.waiting["late"]


def test_a_plugin_that_fails_about_every_worker_there_is_is_at_fault_itself(plugin):
    """Each task may go to one worker alone: no question is about several."""
    name = plugin("racks", filter_room=failing_about("w-1", "w-2"))
    framework = Framework("least-load", [name], slow_s=UNHURRIED_S)
    pinned = [task(f"for-{n}", **asks(node=f"w-{n}")) for n in (1, 2)]
    assert ids(run(NODES, pinned, framework)) == {"for-2": "w-2"}
    assert "racks" in framework._failed.plugins


def rack_of(domain):
    """The number of a rack, which nobody thought could be another text."""
    return int(domain.value.removeprefix("r") or 0)


RACKS = {
    "a filter": {
        "filter_domains": lambda key, domains: {
            d.value: "is hot" for d in domains if key == "rack" and rack_of(d) == 2
        }
    },
    "points": {
        "score_domains": lambda task, key, domains: [
            float(rack_of(d) == 1) if key == "rack" else 1.0 for d in domains
        ]
    },
}


@pytest.mark.parametrize("hooks", RACKS.values(), ids=RACKS)
def test_a_plugin_that_fails_about_one_domain_costs_that_domain_alone(plugin, hooks, caplog):
    """A domain of another label may have the same value."""
    name = plugin("racks", topology=lambda task: ["row", "rack"], **hooks)
    framework = Framework("least-load", [name], weights={name: 100.0}, slow_s=UNHURRIED_S)
    racks = [worker(n, labels={"rack": r, "row": "top"}) for n, r in enumerate(("r1", "r2", "top"))]
    cluster = Cluster(racks, tasks(4), framework)
    assert counts(cluster.run()) == {"w-0": 4}
    [told] = [r.fields for r in caplog.records if r.fields.get("plugin") == "racks"]
    assert told["domains"] == {
        "rack=top": "ValueError: invalid literal for int() with base 10: 'top'"
    }
    assert [fault.worker for fault in framework._failed.told] == ["rack=top"]
    assert plugins.found(framework, "racks").failures == 1


def test_a_task_that_waits_because_a_filter_fails_about_its_domain_says_so(plugin):
    name = plugin("racks", topology=lambda task: ["rack"], **RACKS["a filter"])
    nodes = [worker(n, labels={"rack": r}) for n, r in enumerate(("r1", "top"))]
    pinned = task("only", **asks(node="w-1"))
    framework = Framework("least-load", [name], slow_s=UNHURRIED_S)
    plan = run(nodes, [pinned, *tasks(2)], framework)
    assert counts(plan) == {"w-0": 2}
    assert "w-1 makes the plugin racks fail (ValueError: invalid" in plan.waiting["only"]


def test_the_search_for_the_workers_at_fault_begins_with_the_halves(plugin):
    calls = []
    name = plugin("racks", filter_nodes=failing_about("w-4", calls=calls))
    nodes = [worker(n) for n in (1, 2, 3, 4)]
    run(nodes, tasks(1), Framework("least-load", [name], slow_s=UNHURRIED_S))
    everyone = ["w-1", "w-2", "w-3", "w-4"]
    assert calls == [everyone, ["w-1", "w-2"], ["w-3", "w-4"], ["w-3"], ["w-4"], everyone[:3]]


@pytest.mark.parametrize(("slow_s", "most"), [(0.001, 1), (0.009, 4)])
def test_a_plugin_that_fails_slowly_is_not_asked_about_each_worker(plugin, slow_s, most):
    calls = []
    fails = failing_about("w-1", calls=calls)

    def slow(task, nodes):
        time.sleep(0.003)
        return fails(task, nodes)

    framework = Framework("least-load", [plugin("slow", filter_nodes=slow)], slow_s=slow_s)
    nodes = [worker(n) for n in range(64)]
    assert len(run(nodes, tasks(9), framework).placed) == 9
    assert 1 <= len(calls) <= most
    assert [fault.plugin for fault in framework._failed.told] == ["slow"]
    assert "slow" in framework._failed.plugins


def test_the_others_are_asked_all_the_same(plugin):
    bad = plugin("bad", filter_nodes=lambda nodes: 1 / 0)
    good = plugin("good", filter_nodes=lambda nodes: {"w-1": "no"})
    assert counts(run(NODES, tasks(2), Framework("least-load", [bad, good]))) == {"w-2": 2}


@pytest.mark.parametrize(
    "strategy",
    [
        lambda task, nodes: 1 / 0,
        lambda task, nodes: [],
        lambda task, nodes: ["best"] * len(nodes),
        lambda task, nodes: [float("nan")] * len(nodes),
    ],
    ids=["raises", "too few", "no numbers", "not finite"],
)
def test_a_faulty_strategy_rates_all_alike_and_is_told_once(plugin, strategy, caplog):
    name = plugin("faulty", strategies=lambda: {"faulty": strategy})
    framework = Framework("faulty", [name])
    plan = run(NODES, tasks(10), framework)
    assert counts(plan) == {"w-1": 5, "w-2": 5}
    [told] = [r for r in caplog.records if "strategy failed" in r.message]
    assert told.fields["plugin"] == "faulty"
    assert plugins.found(framework, "faulty").failures == 1


def test_a_strategy_that_fails_at_what_was_chosen_does_not_stop_the_placement(plugin, caplog):
    class Odd(Strategy):
        def rate(self, task, nodes):
            return [0] * len(nodes)

        def chose(self, task, node):
            raise RuntimeError("no memory")

    name = plugin("odd", strategies=lambda: {"odd": Odd})
    assert len(run(NODES, tasks(3), Framework("odd", [name])).placed) == 3
    assert len([r for r in caplog.records if "strategy failed" in r.message]) == 1


def test_a_slow_plugin_is_measured_and_reported_ever_more_rarely(plugin, caplog):
    name = plugin("slow", filter_room=lambda nodes: time.sleep(0.002) or {})
    framework = Framework("least-load", [name], slow_s=0.001)
    run(NODES, tasks(20), framework)
    slow = plugins.found(framework, "slow")
    assert slow.slow == slow.calls == 21
    assert slow.seconds >= 21 * 0.002
    told = [r for r in caplog.records if "--disable slow" in r.message]
    assert len(told) == 5  # at 1, 2, 4, 8, 16
    assert "crawler plugins --disable slow" in told[0].message


def test_a_plugin_that_is_off_is_not_asked(plugin):
    name = plugin("never_one", filter_nodes=lambda task, nodes: {"w-1": "under repair"})
    framework = Framework("least-load", [name], disabled=[name])
    assert counts(run(NODES, tasks(4), framework)) == {"w-1": 2, "w-2": 2}
    framework.switch(Policy("least-load"))
    assert counts(run(NODES, tasks(4), framework)) == {"w-2": 4}
    assert plugins.found(framework, name).calls == 1


def test_what_it_looks_at_does_not_count_while_it_is_off():
    framework = Framework("least-load", disabled=["gpu"])
    plan = run([worker(1)], [task("a", labels={"gpu": "yes"})], framework)
    assert ids(plan) == {"a": "w-1"}
    a, b = (task("a", spider="s", labels={"gpu": v}) for v in "ab")
    cluster = Cluster([worker(1)], [a, b.replace(spec=b.spec.__class__("b", "s"))], framework)
    cluster.run(0)
    assert len(cluster.backlog.queues) == 1


def test_a_weight_may_be_changed_and_falls_back_to_its_own(plugin):
    name = plugin("likes_two", score_nodes=lambda nodes: [float(n.id == "w-2") for n in nodes])
    framework = Framework("least-load", [name])
    framework.switch(Policy("least-load", weights={name: 9.0}))
    assert plugins.found(framework, name).weight == 9.0
    assert counts(run(NODES, tasks(4), framework)) == {"w-2": 4}
    framework.switch(Policy("least-load", weights={name: 0.0}))
    assert counts(run(NODES, tasks(4), framework)) == {"w-1": 2, "w-2": 2}
    framework.switch(Policy("least-load"))
    assert plugins.found(framework, name).weight == 1.0


def test_a_switch_to_what_is_not_there_changes_nothing():
    framework = Framework("round-robin")
    for policy in (
        Policy("best"),
        Policy("random", disabled=frozenset({"nobody"})),
        Policy("random", weights={"nobody": 1.0}),
    ):
        with pytest.raises(ConfigError, match="allowed: "):
            framework.switch(policy)
    assert framework.policy == Policy("round-robin")


def test_constraints_make_no_difference_between_tasks_that_have_the_same():
    cluster = Cluster(NODES, tasks(9, **asks(requests=(("cpu", 1.0),))))
    cluster.run(0)
    assert len(cluster.backlog.queues) == 1
