"""Politeness: delays and turns, on a clock moved by hand."""

import heapq
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock
from crawler.engine.hosts import GRACE_S, Hosts


class Member:
    def __init__(
        self,
        hosts,
        host="h",
        delay_s=1.0,
        host_concurrency=2,
        limits=(),
        delay_random=0.0,
        crawl_delay_s=0.0,
        adaptive=0.0,
    ):
        self.host, self.delay_s, self.host_concurrency = host, delay_s, host_concurrency
        self.crawl_delay_s, self.delay_random, self.limits = crawl_delay_s, delay_random, limits
        self.adaptive, self.max_delay_s = adaptive, 60.0
        self.woken = 0
        hosts.join(self)

    def wake(self):
        self.woken += 1


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def hosts(clock):
    return Hosts(clock)


def test_the_next_turn_comes_after_the_delay(hosts, clock):
    member = Member(hosts, delay_s=2.0)
    assert hosts.take(member) is None
    hosts.answered(member, clock.monotonic(), clock.monotonic())
    assert hosts.take(member) == clock.monotonic() + 2.0
    clock.advance(1.999)
    assert hosts.take(member) is not None
    clock.advance(0.001)
    assert hosts.take(member) is None


def test_no_more_in_flight_than_allowed(hosts):
    member = Member(hosts, delay_s=0.0, host_concurrency=2)
    assert hosts.take(member) is None
    assert hosts.take(member) is None
    assert hosts.take(member) == math.inf
    assert member.woken == 0
    hosts.release("h")
    assert member.woken == 1
    assert hosts.take(member) is None


def test_the_longest_delay_and_the_lowest_concurrency_hold_for_all(hosts, clock):
    quick = Member(hosts, delay_s=0.0, host_concurrency=8)
    assert hosts.take(quick) is None
    assert hosts.take(quick) is None
    slow = Member(hosts, delay_s=5.0, host_concurrency=1)
    hosts.release("h")
    hosts.release("h")
    assert hosts.take(quick) == clock.monotonic() + 5.0
    hosts.leave(slow)
    assert hosts.take(quick) is None
    assert hosts.take(quick) is None


def test_a_crawl_that_ends_and_starts_again_is_still_polite(hosts, clock):
    first = Member(hosts, delay_s=3.0)
    assert hosts.take(first) is None
    hosts.release("h")
    hosts.leave(first)
    again = Member(hosts, delay_s=3.0)
    assert hosts.take(again) == clock.monotonic() + 3.0


def test_other_hosts_do_not_wait(hosts):
    assert hosts.take(Member(hosts, "a")) is None
    assert hosts.take(Member(hosts, "b")) is None


def test_members_take_turns_in_the_order_in_which_they_asked(hosts, clock):
    members = [Member(hosts, delay_s=1.0) for _ in range(3)]
    assert hosts.take(members[0]) is None
    hosts.release("h")
    for member in members:
        assert hosts.take(member) is not None
    turns = []
    for _ in range(6):
        clock.advance(1.0)
        for member in reversed(members):
            if hosts.take(member) is None:
                turns.append(members.index(member))
                hosts.release("h")
                hosts.take(member)
    assert turns == [0, 1, 2, 0, 1, 2]


def test_a_freed_slot_goes_to_who_waits_and_not_back_to_who_freed_it(hosts, clock):
    greedy, patient = (Member(hosts, delay_s=0.0, host_concurrency=1) for _ in range(2))
    assert hosts.take(greedy) is None
    assert hosts.take(patient) == math.inf
    clock.advance(10.0)
    hosts.release("h")
    assert patient.woken == 1
    assert hosts.take(greedy) == clock.monotonic() + GRACE_S
    assert hosts.take(patient) is None


def test_who_does_not_come_for_its_turn_is_overtaken(hosts, clock):
    absent, present = (Member(hosts, delay_s=1.0) for _ in range(2))
    assert hosts.take(present) is None
    hosts.release("h")
    hosts.take(absent)
    again_s = hosts.take(present)
    assert again_s == clock.monotonic() + 1.0 + GRACE_S
    clock.advance(again_s - clock.monotonic())
    assert hosts.take(present) is None


def test_when_the_first_in_line_leaves_the_next_is_woken(hosts):
    first, second, third = (Member(hosts, delay_s=0.0, host_concurrency=1) for _ in range(3))
    assert hosts.take(first) is None
    hosts.take(second)
    hosts.take(third)
    hosts.leave(second)
    hosts.release("h")
    assert third.woken >= 1
    assert hosts.take(third) is None


def test_hosts_out_of_use_are_forgotten_but_not_before_their_delay_has_passed(hosts, clock):
    for i in range(1024):
        member = Member(hosts, f"h{i}", delay_s=10.0)
        hosts.take(member)
        hosts.release(member.host)
        hosts.leave(member)
    Member(hosts, "one more")
    assert len(hosts) == 1025
    clock.advance(11.0)
    for i in range(2000):
        hosts.leave(Member(hosts, f"x{i}", delay_s=0.0))
    assert len(hosts) < 1100


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.integers(1, 3), st.integers(1, 6)), min_size=1, max_size=4
    ),
    st.floats(0, 1.5),
)
def test_no_interleaving_breaks_the_delay_or_starves_anyone(members, service_s):
    """Crawls with their own terms and amounts of work share a host; every turn is checked."""
    clock = ManualClock()
    hosts = Hosts(clock)
    joined = [Member(hosts, "h", delay_s, limit) for delay_s, limit, _ in members]
    work = {member: count for member, (_, _, count) in zip(joined, members)}
    delay_s, limit = max(m[0] for m in members), min(m[1] for m in members)
    ends, starts = [], []
    for _ in range(10_000):
        if not any(work.values()):
            break
        waits = []
        for member in joined:
            if not work[member]:
                continue
            again_s = hosts.take(member)
            if again_s is None:
                starts.append(clock.monotonic())
                heapq.heappush(ends, clock.monotonic() + service_s)
                work[member] -= 1
                assert len(ends) <= limit
                again_s = clock.monotonic()
            waits.append(again_s)
        clock.advance(max(0.0, min(waits + ends[:1]) - clock.monotonic()))
        while ends and ends[0] <= clock.monotonic():
            heapq.heappop(ends)
            hosts.release("h")
        for member in joined:
            if not work[member]:
                hosts._hosts["h"].waiting.pop(member, None)
    assert not any(work.values())
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert all(gap >= delay_s - 1e-6 for gap in gaps)
