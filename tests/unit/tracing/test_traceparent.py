"""What a traceparent says, and the ids that follow from a task."""

import pytest

from crawler.model.records import Resource, Spec
from crawler.tracing.traceparent import (
    TracePlace,
    place_in,
    placement_id_of,
    trace_given,
    trace_id_of,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("text", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"])
def test_a_place_is_read_and_written(text):
    place = place_in(text)
    assert (place.trace_id, place.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert place.text == trace_given({"TRACEPARENT": text}) == text


def test_a_later_version_may_say_more():
    assert place_in(f"01-{TRACE}-{SPAN}-01-more") == TracePlace(int(TRACE, 16), int(SPAN, 16), 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-01-more", f"ff-{TRACE}-{SPAN}-01"),
        *(f"00-{TRACE.upper()}-{SPAN}-01", f" 00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01\n"),
        *(f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[1:]}-{SPAN}-01"),
    ],
)
def test_what_is_none_is_ignored(text):
    assert place_in(text) is None
    assert trace_given({"TRACEPARENT": text}) == ""


def test_each_run_and_each_placement_has_an_id_of_its_own():
    one = Resource(Spec("a"), id="1", creation_time=1, epoch=1)
    others = [one.replace(id="2"), one.replace(run=2), one.replace(generation=1)]
    assert len({trace_id_of(each) for each in (one, *others)}) == 4
    moved, shard = one.replace(epoch=2), one.replace(spec=Spec("a~1"))
    assert trace_id_of(moved) == trace_id_of(shard) == trace_id_of(one) < 2**128
    assert len({placement_id_of(each) for each in (one, moved, shard)}) == 3
    assert 0 < placement_id_of(one) < 2**64
