"""examples/scheduler-plugin as a module, without a cluster."""

import importlib.util
import sys
from pathlib import Path

import pytest

from crawler.scheduler.framework import Framework
from tests.unit.scheduler.cluster import counts, ids, run, tasks, worker
from tests.unit.scheduler.plugins import found
from tests.unit.scheduler.test_docs import example  # noqa: F401

FILE = Path(__file__).parents[3] / "examples" / "scheduler-plugin" / "crawler_frugal.py"


@pytest.fixture
def frugal(monkeypatch):
    """The name by which the example is imported."""
    spec = importlib.util.spec_from_file_location("crawler_frugal", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "crawler_frugal", module)
    return "crawler_frugal"


def test_the_cheapest_get_their_block_first(frugal):
    nodes = [worker(1, labels={"price": "3"}), worker(2, labels={"price": "0.5"})]
    placed = list(ids(run(nodes, tasks(12), Framework("cheapest", [frugal]))).values())
    assert placed == ["w-2"] * 10 + ["w-1"] * 2


@pytest.mark.parametrize("price", ["dear", "", "-1", "-0.5", "nan", "inf", "1e999", "2 euros"])
def test_who_names_no_price_comes_last_and_disturbs_nobody(frugal, price):
    nodes = [worker(1, labels={"price": price}), worker(2), worker(3, labels={"price": "9"})]
    framework = Framework("cheapest", [frugal])
    assert counts(run(nodes, tasks(12), framework)) == {"w-1": 1, "w-2": 1, "w-3": 10}
    assert found(framework, frugal).failures == 0


def test_it_can_be_installed_beside_the_one_of_the_documentation(frugal, example):  # noqa: F811
    both = Framework("cheapest", [frugal, "mycompany.placement"])
    assert {"cheapest", example.policy.strategy} <= set(both.strategies)
    assert example.policy.strategy != "cheapest"
