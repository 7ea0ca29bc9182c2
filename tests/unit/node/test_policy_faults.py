"""A policy that cannot be carried out costs no leader its term, and reasons are true."""

import sys
import types

import pytest

from crawler.errors import InvalidArgument
from crawler.model.policy import PolicyChange
from crawler.model.records import Spec
from crawler.scheduler.hookspecs import Strategy, hookimpl
from tests.unit.node.scene import W1, Scene
from tests.unit.node.test_policy import Stage


class Broken(Strategy):
    def __init__(self, random):
        raise OSError("its file of prices is not on this master")


@pytest.fixture
def stage():
    stage = Stage()
    yield stage
    stage.store.close()


@pytest.fixture
def plugin(monkeypatch):
    made = types.ModuleType("broken_plugin")
    made.strategies = hookimpl(lambda: {"broken": Broken})
    made.strategies.__name__ = "strategies"
    monkeypatch.setitem(sys.modules, "broken_plugin", made)


def test_a_strategy_that_cannot_be_made_is_refused_or_told_and_does_not_end_the_term(plugin, stage):
    """`apply` raises OSError in `Writer.run_pass`, on each leader after the other, for ever;
    without a leader nobody can reset the policy through the API."""
    leader = stage.leader("broken_plugin")
    try:
        leader.change(PolicyChange("broken"))
    except InvalidArgument:
        return
    leader.apply()
    assert leader.view().fault


def test_the_reason_does_not_say_that_no_worker_is_registered_while_one_is():
    scene = Scene(workers=(W1,))
    scene.cluster_state.workers.cordon(frozenset({W1.id}))
    scene.add(Spec("a", "any"))
    scene.settle()
    assert "no worker is registered" not in scene.stored["a"].reason
