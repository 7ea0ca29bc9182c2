"""The set of seen requests: what a Python set would say, in a fraction of its memory."""

import random
import tracemalloc
from array import array

import gevent
import pytest
from gevent import get_hub
from hypothesis import given
from hypothesis import strategies as st

from crawler.engine.frontier import seen_file
from crawler.engine.frontier.seen import LoggedSeen, Seen
from tests.depth import deep

near = st.integers(1, 300)
marks = st.one_of(near, st.integers(2**64 - 300, 2**64 - 1), st.integers(1, 2**64 - 1))


@given(st.lists(marks, max_size=500), st.lists(marks, max_size=50))
def test_it_says_what_a_set_says(added, asked):
    seen, known = Seen(), set()
    for mark in added:
        assert seen.add(mark) == (mark not in known)
        known.add(mark)
        assert len(seen) == len(known)
    assert [mark in seen for mark in asked] == [mark in known for mark in asked]
    assert all(mark in seen for mark in known)


def test_nothing_is_lost_while_it_grows():
    chosen = random.Random(5)
    marks = [chosen.getrandbits(64) or 1 for _ in range(50_000)]
    seen = Seen()
    assert all(seen.add(mark) for mark in marks)
    assert not any(seen.add(mark) for mark in marks)
    assert len(seen) == len(marks)
    assert not any(chosen.getrandbits(64) in seen for _ in range(10_000))


@deep
def test_a_fingerprint_takes_24_bytes_at_most():
    chosen = random.Random(7)
    tracemalloc.start()
    try:
        seen = Seen()
        for count in range(1, 300_001):
            seen.add(chosen.getrandbits(64) or 1)
            if count >= 150_000 and count % 10_000 == 0:
                taken = tracemalloc.get_traced_memory()[0]
                assert taken <= 24 * count
                assert seen.bytes == pytest.approx(taken, rel=0.15), "what it says of itself"
    finally:
        tracemalloc.stop()


def test_an_empty_one_takes_little():
    tracemalloc.start()
    try:
        seen = Seen()
        assert tracemalloc.get_traced_memory()[0] < 128_000
        assert len(seen) == 0
    finally:
        tracemalloc.stop()


def test_a_set_comes_back_from_its_file_and_goes_on(tmp_path):
    chosen = random.Random(3)
    known = {chosen.getrandbits(64) or 1 for _ in range(50_000)}
    seen = Seen()
    for mark in known:
        seen.add(mark)
    seen_file.write(seen, tmp_path / "seen-1.bin")
    again = seen_file.read(tmp_path / "seen-1.bin")
    assert len(again) == len(seen)
    assert again.bytes == pytest.approx(seen.bytes, rel=0.1)
    assert not any(again.add(mark) for mark in known)
    more = {chosen.getrandbits(64) or 1 for _ in range(50_000)} - known
    assert all(again.add(mark) for mark in more)
    assert len(again) == len(known | more)
    assert sorted(again.take_news()) == sorted(more)


@pytest.mark.parametrize("expected", [0, 1000, 20_000, 50_000])
def test_what_is_restored_is_known_and_no_news(expected):
    chosen = random.Random(9)
    marks = [chosen.getrandbits(64) or 1 for _ in range(20_000)]
    marks += [chosen.getrandbits(40) or 1 for _ in range(5_000)]  # all in one array
    seen = LoggedSeen()
    assert seen.add(marks[0])
    if expected:
        seen.expect(expected)
    seen.restore(marks)
    seen.restore(marks[:100])
    assert len(seen) == len(set(marks))
    assert list(seen.take_news()) == marks[:1]
    assert all(mark in seen for mark in marks)
    assert not any(seen.add(mark) for mark in marks)
    assert not any(chosen.getrandbits(64) in seen for _ in range(1000))


def test_an_array_grows_after_a_set_is_restored_and_not_meanwhile():
    chosen = random.Random(11)
    marks = [chosen.getrandbits(51) or 1 for _ in range(3000)]  # all in one array
    seen = LoggedSeen()
    for mark in marks[:1000]:
        seen.add(mark)
    size = len(seen.segments[0])
    assert 1000 < size * 2 / 3 < 1200
    seen.restore(marks[:1200])
    assert len(seen.segments[0]) == size
    seen.add(marks[1200])
    assert len(seen.segments[0]) * 2 / 3 > 1201
    seen.restore(marks)
    assert len(seen) == 3000
    assert not any(map(seen.add, marks))


def test_a_set_goes_on_whose_array_was_copied_just_before_it_grew():
    full = array("Q", [8, 1, 2, 3, 4, 0, 0, 0])  # eight cells hold five
    seen = Seen.of([full, *[None] * 8191], [3, *[0] * 8191])
    assert seen.add(5)
    assert len(seen.segments[0]) > 8, "with no free cell a search would not end"
    assert [mark in seen for mark in (1, 2, 3, 4, 5, 6, 8)] == [True] * 5 + [False, True]


def test_a_set_that_grows_while_it_is_written_has_all_it_had_before(tmp_path):
    chosen = random.Random(4)
    seen, before = Seen(), [chosen.getrandbits(64) or 1 for _ in range(40_000)]
    for mark in before:
        seen.add(mark)
    writing = get_hub().threadpool.spawn(seen_file.write, seen, tmp_path / "seen-1.bin")
    while not writing.ready():
        for _ in range(100):
            seen.add(chosen.getrandbits(64) or 1)
        gevent.sleep(0)
    writing.get()
    again = seen_file.read(tmp_path / "seen-1.bin")
    assert all(mark in again for mark in before)
