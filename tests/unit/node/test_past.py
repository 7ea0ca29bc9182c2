"""What a worker that comes back tells about its earlier incarnations."""

from types import SimpleNamespace

import pytest

from crawler.clock import ManualClock
from crawler.hub import Blockage
from crawler.model.records import Node
from crawler.node.worker.past import Past

TTL_S = 5.0


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def hub():
    return SimpleNamespace(latest=None)


def registered(past, incarnation):
    """The worker as its next registration describes it."""
    return Node("w-1", "h:1", metadata=past.metadata(), incarnation=incarnation)


def test_a_new_process_has_no_past(clock, hub):
    assert Past(clock, hub, TTL_S).metadata() == {}


def test_all_incarnations_of_a_process_name_the_first(clock, hub):
    past = Past(clock, hub, TTL_S)
    for incarnation in (10, 20, 30):
        past.joined(incarnation)
    node = registered(past, 40)
    assert (node.first_incarnation, node.hung) == (10, (0, ""))


@pytest.mark.parametrize("lasted_s", [7.0, None])
def test_a_callback_that_cost_the_lease_is_named(clock, hub, lasted_s):
    past = Past(clock, hub, TTL_S)
    past.joined(10)
    past.joined(20)
    clock.advance(1.0)
    hub.latest = Blockage(clock.monotonic(), "my shop", lasted_s)
    clock.advance(7.0)
    assert registered(past, 30).hung == (20, "my shop")


def test_a_callback_that_was_too_short_or_of_an_earlier_incarnation_is_not(clock, hub):
    past = Past(clock, hub, TTL_S)
    past.joined(10)
    hub.latest = Blockage(clock.monotonic() + 1.0, "short", 2.4)
    assert registered(past, 20).hung == (0, "")
    hub.latest = Blockage(clock.monotonic(), "long", 9.0)
    clock.advance(10.0)
    past.joined(20)
    assert registered(past, 30).hung == (0, "")


@pytest.mark.parametrize("text", ["", "x", "-1", "9" * 30, "²"])
def test_what_another_program_writes_there_is_no_past(text):
    node = Node("w-1", "h:1", metadata={"process": text, "hung": f"{text} a"}, incarnation=7)
    assert (node.first_incarnation, node.hung) == (7, (0, ""))
