"""Politeness: delays and turns, on a clock moved by hand."""

import heapq
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock
from crawler.engine.politeness.host import GRACE_S, HostTerms
from crawler.engine.politeness.host_register import Grant, Want
from crawler.engine.politeness.hosts import Hosts
from crawler.settings.crawl import CrawlSettings, Limit
from tests.depth import examples


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
        self.host = host
        self.woken = 0
        terms = HostTerms(
            delay_s=delay_s,
            host_concurrency=host_concurrency,
            limits=tuple(limits),
            delay_random=delay_random,
            crawl_delay_s=crawl_delay_s,
            adaptive=adaptive,
            max_delay_s=60.0,
        )
        hosts.join(self, terms)

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
    clock.advance(5.0)
    assert hosts.take(quick) is None
    hosts.went_out("h")
    assert hosts.take(quick) == math.inf, "one at a time"
    hosts.release("h")
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


@settings(max_examples=examples(60))
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


def sent(hosts, clock, member, seconds, waited_s=0.0):
    """The moments at which a member that always wants a turn has one."""
    began_s, moments = clock.monotonic(), []
    while clock.monotonic() - began_s < seconds:
        again_s = hosts.take(member)
        if again_s is None:
            moments.append(clock.monotonic() - began_s)
            sent_s = clock.monotonic()
            clock.advance(waited_s)
            hosts.answered(member, sent_s, clock.monotonic(), waited_s)
            hosts.release(member.host)
        else:
            clock.advance(again_s - clock.monotonic())
    return moments


def test_the_delay_counts_from_when_the_answer_began(hosts, clock):
    member = Member(hosts, delay_s=1.0)
    moments = sent(hosts, clock, member, 5.0, waited_s=0.2)
    assert moments == pytest.approx([0.0, 1.2, 2.4, 3.6, 4.8])


def test_a_slow_answer_doubles_the_delay_at_the_most(hosts, clock):
    member = Member(hosts, delay_s=1.0, host_concurrency=9)
    assert hosts.take(member) is None
    hosts.went_out(member.host)
    assert hosts.take(member) == clock.monotonic() + 2.0
    sent_s = clock.monotonic()
    clock.advance(1.9)
    hosts.answered(member, sent_s, clock.monotonic(), 1.9)
    assert hosts.take(member) == pytest.approx(sent_s + 2.0)


def test_nothing_is_sent_while_the_last_request_connects_and_its_delay_counts_from_the_wire(
    hosts, clock
):
    """Else both might arrive at once."""
    first, other = (Member(hosts, delay_s=1.0, host_concurrency=9) for _ in range(2))
    assert hosts.take(first) is None
    clock.advance(30.0)
    assert hosts.take(other) == math.inf
    hosts.went_out(first.host)
    assert other.woken
    assert hosts.take(other) == clock.monotonic() + 2.0
    hosts.release(first.host)
    clock.advance(1.0)
    assert hosts.take(other) is None
    hosts.release(other.host)
    clock.advance(1.0)
    assert hosts.take(first) is None, "one that ends without a word holds nobody up"


def test_the_delay_counts_from_the_answer_of_a_request_that_had_to_connect_too(hosts, clock):
    member = Member(hosts, delay_s=1.0)
    assert hosts.take(member) is None
    turn_s = clock.monotonic()
    clock.advance(0.5)
    hosts.went_out(member.host)
    clock.advance(0.2)
    hosts.answered(member, turn_s, clock.monotonic(), 0.2)
    hosts.release(member.host)
    assert hosts.take(member) == pytest.approx(turn_s + 0.7 + 1.0)


@pytest.mark.parametrize("limits", [(), (Limit(1, 1.0),)])
def test_the_delay_counts_from_the_end_of_a_request_that_was_cut_off(hosts, clock, limits):
    """Nobody knows when it arrived, or whether it did."""
    member = Member(hosts, delay_s=0.0 if limits else 1.0, limits=limits)
    assert hosts.take(member) is None
    hosts.went_out("h")
    clock.advance(0.4)
    hosts.release("h")
    assert hosts.take(member) == clock.monotonic() + 1.0


def test_a_host_that_is_granted_anew_keeps_no_pause_for_which_others_asked_before(hosts):
    """Its owner before may be this worker, whose lease had ended: then nothing was told."""
    Member(hosts, delay_s=1.0)
    hosts.sought(Want("h", 5.0))
    assert hosts.pause_in_force_s("h") == 5.0
    hosts.granted(Grant("h", 0.0))
    assert hosts.pause_in_force_s("h") == 1.0


def test_without_a_pace_nobody_waits_for_the_wire(hosts):
    member = Member(hosts, delay_s=0.0, host_concurrency=2)
    assert hosts.take(member) is None
    assert not hosts.holds(member.host)
    assert hosts.take(member) is None


def test_a_limit_lets_a_burst_through_and_then_its_rate(hosts, clock):
    member = Member(hosts, delay_s=0.0, limits=[Limit(events=2, per_s=10.0, burst=3)])
    assert sent(hosts, clock, member, 16.0) == pytest.approx([0.0, 0.0, 0.0, 5.0, 10.0, 15.0])


def test_all_limits_of_all_crawls_hold(hosts, clock):
    member = Member(hosts, delay_s=0.0, limits=[Limit(1, 1.0, 5), Limit(3, 60.0, 3)])
    other = Member(hosts, delay_s=0.0, limits=[Limit(1, 2.0, 1)])
    assert sent(hosts, clock, member, 30.0) == pytest.approx([0.0, 2.0, 4.0, 20.0])
    hosts.leave(other)
    clock.advance(60.0)
    assert sent(hosts, clock, member, 19.0) == pytest.approx([0.0, 0.0, 0.0])


def test_the_delay_varies_by_chance_but_not_below_what_robots_ask_for():
    clock, chances = ManualClock(), iter([0.0, 0.5, 1.0, 0.25, 0.0])
    hosts = Hosts(clock, lambda: next(chances))
    member = Member(hosts, delay_s=1.0, delay_random=0.5)
    moments = sent(hosts, clock, member, 3.2)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps == pytest.approx([0.5, 1.0, 1.5])
    clock.advance(10.0)
    asked = Member(hosts, "robots", delay_s=1.0, delay_random=0.5, crawl_delay_s=1.0)
    assert hosts.take(asked) is None
    hosts.answered(asked, clock.monotonic(), clock.monotonic())
    assert hosts.take(asked) == pytest.approx(clock.monotonic() + 1.0)


def test_the_delay_follows_latency_and_errors_do_not_shorten_it(hosts, clock):
    member = Member(hosts, delay_s=0.1, adaptive=2.0)
    hosts.take(member)

    def delay_s(waited_s, is_good=True):
        hosts.adapt(member, waited_s, is_good)
        return hosts._hosts["h"].pause_s

    assert delay_s(4.0) == pytest.approx(2.0)
    assert delay_s(0.1, is_good=False) == pytest.approx(2.0)
    assert delay_s(1.0) == pytest.approx(1.25)
    assert delay_s(1000.0) == pytest.approx(60.0)
    for _ in range(20):
        delay_s(0.01)
    assert delay_s(0.01) == pytest.approx(0.1)


def test_after_a_rest_one_request_at_a_time_until_a_good_answer(hosts, clock):
    member = Member(hosts, delay_s=0.0, host_concurrency=8)
    hosts.cooldowns.throttled("h", clock.monotonic(), 5.0, CrawlSettings())
    assert hosts.take(member) == clock.monotonic() + 5.0
    clock.advance(5.0)
    assert hosts.take(member) is None
    assert hosts.take(member) == math.inf
    hosts.cooldowns.answered("h", promptly=True)
    assert hosts.take(member) is None


LIMITS = st.builds(
    Limit,
    events=st.integers(1, 20),
    per_s=st.floats(0.5, 60.0),
    burst=st.integers(1, 10),
)


@settings(max_examples=examples(60))
@given(st.lists(LIMITS, min_size=1, max_size=3), st.lists(st.floats(0, 5.0), max_size=40))
def test_in_no_window_more_than_the_buckets_allow(limits, pauses):
    """Whenever a crawl asks, no window of the moments it was let through holds too many."""
    clock = ManualClock()
    hosts = Hosts(clock)
    member = Member(hosts, delay_s=0.0, limits=limits)
    moments = []
    for pause_s in [*pauses, *[0.0] * 20]:
        clock.advance(pause_s)
        again_s = hosts.take(member)
        if again_s is not None:
            clock.advance(max(0.0, again_s - clock.monotonic()))
            assert hosts.take(member) is None, "the moment that was named is the moment"
        moments.append(clock.monotonic())
        hosts.release("h")
    for limit in limits:
        for first, last in itertools.combinations(range(len(moments)), 2):
            window_s = moments[last] - moments[first]
            assert last - first + 1 <= limit.burst + window_s * limit.events / limit.per_s + 1e-6


def test_chance_and_latency_count_only_while_a_crawl_asks_for_them(hosts, clock):
    plain = Member(hosts, delay_s=1.0)
    other = Member(hosts, delay_s=1.0, delay_random=1.0, adaptive=1.0)
    assert hosts.take(other) is None
    hosts.adapt(other, 30.0, is_good=True)
    hosts.release("h")
    hosts.leave(other)
    assert hosts.take(plain) == pytest.approx(clock.monotonic() + 1.0)
