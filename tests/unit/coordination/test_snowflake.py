"""Ids are Snowflakes, rise always, and are never given out twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snowflake import Snowflake

from crawler.clock import ManualClock
from crawler.coordination.snowflake import EPOCH_MS, IdGenerator, node_of


def test_an_id_holds_time_node_and_sequence():
    clock = ManualClock(wall_ns=1_670_841_268_798_763_000)
    parsed = Snowflake.parse(IdGenerator(7, clock).next(), EPOCH_MS)
    assert (parsed.milliseconds, parsed.instance, parsed.seq) == (1_670_841_268_798, 7, 0)


def test_the_ids_of_the_reference_parse_with_this_epoch():
    moment_ms = Snowflake.parse(1602250527540776960, EPOCH_MS).milliseconds
    assert abs(moment_ms - 1_670_841_268_798) < 1000


jumps_ms = st.lists(st.integers(-100_000, 100_000), max_size=30)


@given(jumps_ms, st.integers(1, 300))
def test_ids_rise_whatever_the_clock_does(jumps, each):
    clock = ManualClock()
    ids = IdGenerator(3, clock)
    minted = []
    for jump_ms in jumps:
        clock.set_wall(clock.time_ns() + jump_ms * 1_000_000)
        minted += [ids.next() for _ in range(each)]
    assert minted == sorted(set(minted))


def test_more_than_a_millisecond_holds_are_minted_without_waiting():
    ids = IdGenerator(1, ManualClock())
    minted = [ids.next() for _ in range(10_000)]
    assert len(set(minted)) == 10_000
    assert {node_of(id) for id in minted} == {1}


@given(st.integers(0, 1023), st.integers(0, 1023), st.integers(-(10**7), 10**7))
def test_the_next_leader_starts_above_the_mark_whatever_its_clock_says(first, second, offset_ms):
    clock = ManualClock()
    mark = max(IdGenerator(first, clock).next() for _ in range(5))
    clock.set_wall(clock.time_ns() + offset_ms * 1_000_000)
    assert IdGenerator(second, clock, above=mark).next() > mark


@pytest.mark.parametrize("node", [-1, 1024])
def test_a_node_number_beyond_ten_bits_is_refused(node):
    with pytest.raises(ValueError, match="0 to 1023"):
        IdGenerator(node, ManualClock())
