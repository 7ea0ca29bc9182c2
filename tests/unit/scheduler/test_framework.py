"""Plugins: loaded, checked, and kept from doing harm."""

import sys
import types

import pytest
from crawler.scheduler.snapshot import Candidate

from crawler.errors import ConfigError
from crawler.records import Node, Spec
from crawler.scheduler.cycle import run_pass
from crawler.scheduler.framework import Framework
from crawler.scheduler.hookspecs import hookimpl


@pytest.fixture
def plugin(monkeypatch):
    """Makes an importable plugin module of functions."""

    def make(name, **functions):
        module = types.ModuleType(name)
        for hook, function in functions.items():
            function.__name__ = hook
            setattr(module, hook, hookimpl(function))
        monkeypatch.setitem(sys.modules, name, module)
        return name

    return make


NODES = [Candidate(Node("w-1", "h:1")), Candidate(Node("w-2", "h:2"))]


def test_a_plugin_filters_and_scores(plugin):
    name = plugin(
        "never_one",
        filter_nodes=lambda task, nodes: {"w-1": "under repair"},
    )
    plan = run_pass(Framework("least-load", [name]), NODES, [Spec("a"), Spec("b")])
    assert {node.id for node in plan.placed.values()} == {"w-2"}
    name = plugin(
        "likes_two", score_nodes=lambda nodes: [5.0 * (n.node.id == "w-2") for n in nodes]
    )
    plan = run_pass(Framework("least-load", [name]), NODES, [Spec("a"), Spec("b")])
    assert {node.id for node in plan.placed.values()} == {"w-2"}


def test_a_plugin_brings_a_strategy(plugin):
    name = plugin("last", strategies=lambda: {"last": lambda task, nodes: list(range(len(nodes)))})
    plan = run_pass(Framework("last", [name]), NODES, [Spec("a")])
    assert plan.placed["a"].id == "w-2"


@pytest.mark.parametrize(
    "faulty",
    [
        {"filter_nodes": lambda task, nodes: 1 / 0},
        {"filter_nodes": lambda task, nodes: ["w-1"]},
        {"score_nodes": lambda task, nodes: [1.0]},
        {"score_nodes": lambda task, nodes: 1 / 0},
    ],
    ids=["filter raises", "filter of another type", "too few scores", "score raises"],
)
def test_a_faulty_plugin_is_named_and_the_placement_goes_on(plugin, faulty, caplog):
    name = plugin("faulty", **faulty)
    plan = run_pass(Framework("least-load", [name]), NODES, [Spec("a"), Spec("b")])
    assert {node.id for node in plan.placed.values()} == {"w-1", "w-2"}
    assert any(r.fields.get("plugin") == "faulty" for r in caplog.records)


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
def test_a_faulty_strategy_rates_all_alike_and_the_placement_goes_on(plugin, strategy):
    name = plugin("faulty", strategies=lambda: {"faulty": strategy})
    plan = run_pass(Framework("faulty", [name]), NODES, [Spec("a"), Spec("b")])
    assert {node.id for node in plan.placed.values()} == {"w-1", "w-2"}


def test_a_misspelt_hook_is_an_error_at_load(plugin):
    with pytest.raises(ConfigError, match="filter_node"):
        Framework("least-load", [plugin("odd", filter_node=lambda task: {})])


def test_an_unknown_argument_is_an_error_at_load(plugin):
    with pytest.raises(ConfigError, match="odd"):
        Framework("least-load", [plugin("odd", filter_nodes=lambda task, machines: {})])


def test_an_unknown_strategy_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"'best' is unknown; allowed: least-load"):
        Framework("best")


def test_a_plugin_that_cannot_be_imported_is_named():
    with pytest.raises(ConfigError, match=r"scheduler.plugins: 'no.such.module'"):
        Framework("least-load", ["no.such.module"])


def test_two_strategies_of_one_name_are_an_error(plugin):
    name = plugin("twin", strategies=lambda: {"least-load": lambda task, nodes: []})
    with pytest.raises(ConfigError, match="least-load"):
        Framework("least-load", [name])
