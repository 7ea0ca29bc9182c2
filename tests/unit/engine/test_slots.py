"""Slots: what holds one, and what does not for long."""

import math

from crawler.engine.politeness.slots import PATIENCE_S, Slots


def test_no_more_than_there_are():
    slots = Slots(2, 0)
    first = slots.take(0.0)
    slots.take(0.0)
    assert not slots.has_room(0.0)
    slots.free(first)
    assert slots.has_room(0.0)
    assert slots.busy == 1


def test_an_answer_holds_its_slot_until_it_is_dealt_with():
    slots = Slots(1, 8)
    slots.answered(slots.take(0.0))
    assert not slots.has_room(100.0)
    slots.settle()
    assert slots.has_room(100.0)


def test_a_request_that_waits_for_long_leaves_its_slot_to_others():
    slots = Slots(1, 1)
    slots.take(0.0)
    assert slots.next_s() == PATIENCE_S
    assert not slots.has_room(PATIENCE_S - 0.01)
    assert slots.has_room(PATIENCE_S)
    assert slots.busy == 1


def test_no_more_are_set_aside_than_allowed():
    slots = Slots(1, 1)
    slots.take(0.0)
    assert slots.has_room(PATIENCE_S)
    slots.take(PATIENCE_S)
    assert not slots.has_room(1000.0)
    assert slots.next_s() == math.inf


def test_an_answer_that_was_set_aside_counts_again():
    slots = Slots(1, 1)
    late = slots.take(0.0)
    assert slots.has_room(PATIENCE_S)
    slots.answered(late)
    assert not slots.has_room(PATIENCE_S)
    slots.settle()
    assert slots.busy == 0


def test_beside_the_others_from_the_start_while_there_is_room():
    slots = Slots(1, 1)
    slots.take(0.0, beside=True)
    assert slots.has_room(0.0)
    slots.take(0.0, beside=True)
    assert not slots.has_room(0.0)


def test_many_requests_leave_nothing_behind():
    slots = Slots(4, 4)
    for moment in range(10_000):
        slots.free(slots.take(float(moment)))
        assert slots.has_room(float(moment))
    assert slots.busy == 0
    assert len(slots._waiting) <= 4
