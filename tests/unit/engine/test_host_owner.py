"""Workers that share hosts: one owns a host at a time, and each has its turn."""

import math
import random
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock
from crawler.engine.politeness import host_owner
from crawler.engine.politeness.host import HostTerms
from crawler.engine.politeness.host_owner import HOLD_S, WISH_S
from crawler.engine.politeness.host_register import (
    LEASE_S,
    MemoryHostRegister,
    RegisterAway,
    Want,
)
from crawler.engine.politeness.host_tenure import TURN_REQUESTS
from crawler.engine.politeness.hosts import Hosts
from crawler.settings.crawl import CrawlSettings, Limit
from tests.depth import examples

STEP_S = 0.05
EARLY_S = 1e-6


class Line:
    """The register as one worker reaches it: it may be away, before a call or after it."""

    def __init__(self, register):
        self._register = register
        self.lease_s = register.lease_s
        self.is_away = False
        self.loses_answers = False

    def tell(self, token, told):
        if self.is_away:
            raise RegisterAway("away")
        answer = self._register.tell(token, told)
        if self.loses_answers:
            raise RegisterAway("the answer is lost")
        return answer


class Worker:
    """A worker that always has something to send to its hosts."""

    def __init__(self, name, register, clock, latency_s=lambda: 0.01):
        self.clock = clock
        self.line = Line(register)
        self.hosts = Hosts(clock, chance=lambda: 0.5)
        self.owner = self.hosts.share(self.line, name)
        self.members = []
        self.sent = []
        """The moment and the host of each request as the host sees it."""
        self._latency_s = latency_s
        self._under_way = []
        self._tends_s = -math.inf

    def crawl(self, host, delay_s=1.0, **terms):
        member = Member(self, host)
        terms.setdefault("host_concurrency", 1)
        self.hosts.join(member, HostTerms(delay_s, **terms))
        self.members.append(member)
        return member

    def step(self):
        """What the worker does at this moment."""
        now_s = self.clock.monotonic()
        for ended in [each for each in self._under_way if each[0] <= now_s]:
            self._under_way.remove(ended)
            _, member, sent_s = ended
            self.hosts.answered(member, sent_s, now_s, now_s - sent_s)
            self.hosts.release(member.host)
        for member in self.members:
            while member.again_s <= now_s:
                again_s = self.hosts.take(member)
                if again_s is not None:
                    member.again_s = again_s
                    break
                arrives_s = now_s + self._latency_s()
                self.sent.append((arrives_s, member.host))
                self._under_way.append((arrives_s, member, now_s))
        with suppress(RegisterAway):
            self.owner.tend()

    def stop(self, member):
        """Send no more for a member."""
        self.members.remove(member)
        self.hosts.leave(member)


class Member:
    def __init__(self, worker, host):
        self.host = host
        self.again_s = -math.inf

    def wake(self):
        self.again_s = -math.inf


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def register(clock):
    return MemoryHostRegister(clock)


def run(clock, workers, duration_s):
    end_s = clock.monotonic() + duration_s
    while clock.monotonic() < end_s:
        for worker in workers:
            worker.step()
        clock.advance(STEP_S)


def gaps(*workers, host):
    """What passed between the requests that a host got, from all workers."""
    seen = sorted(at_s for worker in workers for at_s, name in worker.sent if name == host)
    return [later - earlier for earlier, later in pairwise(seen)]


def test_a_worker_alone_keeps_its_pace(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h")
    run(clock, [worker], 20.0)
    assert len(worker.sent) >= 18
    assert min(gaps(worker, host="h")) >= 1.0 - EARLY_S


def test_workers_take_turns_and_the_host_keeps_its_rate(clock, register):
    workers = [Worker(name, register, clock) for name in "abcd"]
    for worker in workers:
        worker.crawl("h")
    run(clock, workers, 120.0)
    assert min(gaps(*workers, host="h")) >= 1.0 - EARLY_S
    counts = [len(worker.sent) for worker in workers]
    assert sum(counts) >= 0.9 * 120
    assert min(counts) >= TURN_REQUESTS * 4
    assert max(counts) - min(counts) <= 2 * TURN_REQUESTS


def test_a_host_that_nobody_else_wants_stays(clock, register):
    """No call moves it: others have other hosts."""
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.0)
    other.crawl("i", delay_s=0.0)
    run(clock, [one, other], 30.0)
    assert {host for _, host in one.sent} == {"h"}
    assert len(one.sent) >= 0.9 * 30 / STEP_S


def test_the_pause_after_the_owner_s_last_request_holds_for_the_next_one(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    member = one.crawl("h", delay_s=5.0)
    run(clock, [one], 1.0)
    one.stop(member)
    other.crawl("h", delay_s=1.0)
    run(clock, [one, other], 10.0)
    assert other.sent
    assert gaps(one, other, host="h")[0] >= 5.0 - EARLY_S


def test_the_next_owner_s_longer_pause_counts_from_the_last_request(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    member = one.crawl("h", delay_s=0.5)
    run(clock, [one], 0.3)
    one.stop(member)
    other.crawl("h", delay_s=5.0)
    run(clock, [one, other], 8.0)
    assert gaps(one, other, host="h")[0] >= 5.0 - EARLY_S


def test_the_longest_pause_of_those_that_wait_holds_too(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 1.0)
    other.crawl("h", delay_s=3.0)
    run(clock, [one, other], 0.3)
    one.sent.clear()
    run(clock, [one, other], 20.0)
    assert one.sent
    assert min(gaps(one, other, host="h")) >= 3.0 - EARLY_S


def test_the_pause_of_who_waited_ends_when_it_has_gone(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 1.0)
    member = other.crawl("h", delay_s=30.0)
    run(clock, [one, other], 0.5)
    other.stop(member)
    one.sent.clear()
    run(clock, [one, other], 4.0)
    assert len(one.sent) >= 12


def test_the_pause_in_force_is_told(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    quick = one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 1.0)
    assert one.hosts.pause_in_force_s("h") == 0.2
    slow = other.crawl("h", delay_s=1.0)
    run(clock, [one, other], 0.5)
    assert one.hosts.pause_in_force_s("h") == 1.0
    other.stop(slow)
    run(clock, [one, other], 0.5)
    assert one.hosts.pause_in_force_s("h") == 0.2
    one.stop(quick)
    assert one.hosts.pause_in_force_s("h") == 0.0


def test_who_has_the_lease_of_a_host_is_told(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    mine = one.crawl("h", delay_s=0.2)
    run(clock, [one], 1.0)
    other.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.2)
    assert [each.hosts.lease("h") for each in (one, other)] == ["held", "awaited"]
    one.stop(mine)
    run(clock, [one, other], 2.0)
    assert [each.hosts.lease("h") for each in (one, other)] == ["", "held"]
    assert Hosts(clock).lease("h") == "", "it shares none"


def test_a_host_stays_with_its_owner_when_who_waited_has_gone(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.3)
    member = other.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.2)
    other.stop(member)
    run(clock, [one, other], 0.2)
    told = recorded(one)
    run(clock, [one, other], 20.0)
    assert not any(each.returns for each in told)


def test_the_pause_of_a_task_that_has_ended_does_not_hold_for_the_next_one(clock, register):
    """The register has forgotten the host meanwhile."""
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    quick = one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 1.0)
    slow = other.crawl("h", delay_s=3.0)
    run(clock, [one, other], 1.0)
    one.stop(quick)
    run(clock, [one], 0.1)
    other.stop(slow)
    run(clock, [one, other], 12.0)
    register._entries.clear()
    one.sent.clear()
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 5.0)
    assert len(one.sent) >= 15


def test_a_slow_crawl_that_leaves_a_waiting_worker_takes_its_pause_along(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.3)
    slow = other.crawl("h", delay_s=9.0)
    other.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.2)
    other.stop(slow)
    one.sent.clear()
    run(clock, [one, other], 1.7)
    assert len(one.sent) + len(other.sent) >= 6


def test_a_slow_crawl_that_joins_a_waiting_worker_counts_at_once(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.3)
    other.crawl("h", delay_s=0.2)
    run(clock, [one, other], 0.2)
    other.crawl("h", delay_s=5.0)
    run(clock, [one, other], 2 * STEP_S)
    one.sent.clear()
    run(clock, [one, other], 4.5)
    assert len(one.sent) <= 1


def test_who_gives_a_host_back_and_still_needs_it_tells_its_pause_in_the_same_call(clock, register):
    """It is busy afterwards, and its pause is almost over: the next owner is not early."""
    slow, quick = Worker("a", register, clock), Worker("b", register, clock)
    slow.crawl("h", delay_s=3.3)
    run(clock, [slow, quick], 0.3)
    quick.crawl("h", delay_s=0.1)
    while len(slow.owner):
        run(clock, [slow, quick], STEP_S)
    run(clock, [quick], 2.0)
    assert quick.sent
    assert min(gaps(slow, quick, host="h")) >= 3.3 - EARLY_S


def test_a_pause_that_shrinks_is_told(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h", delay_s=1.0)
    slow = worker.crawl("h", delay_s=7.0)
    run(clock, [worker], 0.2)
    told = recorded(worker)
    worker.stop(slow)
    worker.owner.tend()
    assert [each.holds for each in told] == [[Want("h", 1.0)]]


class ChangesMeanwhile(Line):
    """While it answers for the first time, something happens."""

    def __init__(self, register, happens):
        super().__init__(register)
        self._happens = [happens]

    def tell(self, token, told):
        answer = super().tell(token, told)
        for happens in self._happens:
            happens()
        self._happens = []
        return answer


@pytest.mark.parametrize("begins_before", [True, False])
def test_a_pause_that_grows_while_the_register_answers_is_told(clock, register, begins_before):
    worker = Worker("a", register, clock)
    if begins_before:
        worker.crawl("h", delay_s=1.0)
        run(clock, [worker], 0.2)
    worker.crawl("h", delay_s=2.0)
    worker.owner._register = ChangesMeanwhile(register, lambda: worker.crawl("h", delay_s=7.0))
    run(clock, [worker], 0.2)
    died_s = clock.monotonic()
    other = Worker("b", register, clock)
    other.crawl("h", delay_s=0.1)
    run(clock, [other], LEASE_S + 7.0 + 2 * WISH_S)
    assert other.sent[0][0] >= died_s + LEASE_S + 7.0 - 0.2


@settings(max_examples=examples(24))
@given(st.integers(0, 2**32))
def test_the_pace_is_that_of_the_slowest_there_is(seed):
    """Quick crawls of three workers go on; a slow one comes, stays, and goes again."""
    chance = random.Random(seed)
    clock = ManualClock()
    register = MemoryHostRegister(clock)
    workers = [Worker(name, register, clock) for name in "abc"]
    for worker in workers:
        worker.crawl("h", delay_s=0.2)
    run(clock, workers, chance.uniform(0.5, 15.0))
    slow_s = chance.choice([0.7, 1.0, 1.3, 3.0])
    where = chance.choice(workers)
    slow = where.crawl("h", delay_s=slow_s)
    run(clock, workers, 4 * STEP_S)
    for worker in workers:
        worker.sent.clear()
    run(clock, workers, chance.uniform(30.0, 60.0))
    assert min(gaps(*workers, host="h")) >= slow_s - EARLY_S
    where.stop(slow)
    run(clock, workers, slow_s + 0.5)
    for worker in workers:
        worker.sent.clear()
    run(clock, workers, 20.0)
    assert max(gaps(*workers, host="h")) <= 0.2 + 8 * STEP_S


def test_a_host_that_always_has_a_request_under_way_is_handed_over_too(clock, register):
    workers = [Worker(name, register, clock, lambda: 1.5) for name in "ab"]
    for worker in workers:
        worker.crawl("h", delay_s=0.5, host_concurrency=4)
    run(clock, workers, 40.0)
    assert all(worker.sent for worker in workers)


def test_a_rate_limit_holds_over_all_workers(clock, register):
    limit = Limit(events=4, per_s=10.0, burst=4)
    workers = [Worker(name, register, clock) for name in "ab"]
    for worker in workers:
        worker.crawl("h", delay_s=0.0, limits=(limit,))
    run(clock, workers, 60.0)
    moments = sorted(at_s for worker in workers for at_s, _ in worker.sent)
    for first, last in zip(moments, moments[7:], strict=False):
        assert last - first >= 10.0 - EARLY_S  # a burst, and what came back meanwhile
    assert all(worker.sent for worker in workers)


def test_a_cooldown_goes_with_the_host(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    member = one.crawl("h")
    run(clock, [one], 0.5)
    crawl = CrawlSettings(throttle_s=30.0)
    one.hosts.cooldowns.throttled("h", clock.monotonic(), 0.0, crawl)
    left_s = one.hosts.cooldowns.under_way()["h"]
    one.stop(member)
    other.crawl("h")
    run(clock, [one, other], 2.0)
    assert not other.sent
    until_s = other.hosts.cooldowns.get("h").until_s
    assert until_s >= clock.monotonic() + left_s - 2.5
    other.hosts.cooldowns.throttled("h", until_s + 1, 0.0, crawl)
    assert other.hosts.cooldowns.get("h").pause_s == 60.0


def test_the_hosts_of_a_dead_worker_go_to_others_when_its_lease_and_the_pause_are_over(
    clock, register
):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h")
    run(clock, [one], 3.0)
    other.crawl("h")
    died_s = clock.monotonic()
    run(clock, [other], LEASE_S + 1.0 + WISH_S + 2 * STEP_S)
    assert other.sent
    assert other.sent[0][0] - died_s >= LEASE_S + 1.0 - 2 * STEP_S


def test_a_worker_that_was_paused_beyond_its_lease_sends_nothing_and_asks_anew(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h", delay_s=0.0)
    run(clock, [one], 1.0)
    other.crawl("h", delay_s=0.0)
    run(clock, [other], 2 * LEASE_S)
    before = len(one.sent)
    one.step()  # it wakes up
    assert len(one.sent) == before
    run(clock, [one, other], 20.0)
    assert len(one.sent) > before


@pytest.mark.parametrize("has_hosts", [True, False])
def test_a_lease_that_ends_is_a_warning_only_if_it_had_hosts(clock, register, caplog, has_hosts):
    worker = Worker("a", register, clock)
    if has_hosts:
        worker.crawl("h", delay_s=0.0)
    run(clock, [worker], 1.0)
    clock.advance(2 * LEASE_S)  # it is paused
    run(clock, [worker], 1.0)
    told = [each for each in caplog.records if "the lease of hosts has ended" in each.message]
    assert len(told) == has_hosts


def test_without_the_register_nothing_is_sent_once_the_lease_is_over(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h", delay_s=0.0)
    run(clock, [worker], 1.0)
    worker.line.is_away = True
    run(clock, [worker], LEASE_S)
    before = len(worker.sent)
    run(clock, [worker], 10.0)
    assert len(worker.sent) == before
    worker.line.is_away = False
    run(clock, [worker], 2.0)
    assert len(worker.sent) > before


def test_a_grant_whose_answer_was_lost_is_told_again(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h", delay_s=0.0)
    worker.line.loses_answers = True
    run(clock, [worker], 0.5)
    worker.line.loses_answers = False
    run(clock, [worker], 1.0)
    assert worker.sent


def test_a_worker_that_leaves_gives_its_hosts_back(clock, register):
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    one.crawl("h")
    run(clock, [one], 3.0)
    one.owner.close()
    other.crawl("h")
    run(clock, [other], 2.0)
    assert other.sent
    assert gaps(one, other, host="h")[-1] >= 1.0 - EARLY_S


class Recording(Line):
    """Keeps what it is told."""

    def __init__(self, register):
        super().__init__(register)
        self.told = []

    def tell(self, token, told):
        self.told.append(told)
        return super().tell(token, told)


def recorded(worker):
    """What a worker tells from now on."""
    worker.owner._register = line = Recording(worker.line)
    return line.told


def test_many_hosts_that_stay_cost_nothing_at_each_call(clock, register, monkeypatch):
    worker = Worker("a", register, clock)
    for number in range(2000):
        worker.crawl(f"h{number}", delay_s=60.0)
    run(clock, [worker], 0.2)
    assert len(worker.owner) == 2000
    asked = []
    monkeypatch.setattr(worker.hosts, "pause_s", asked.append)
    told = recorded(worker)
    for _ in range(20):
        worker.owner.tend()
    assert len(told) == 20
    assert not asked


def test_an_owner_says_again_and_again_that_it_has_a_host(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h", delay_s=1e9)
    run(clock, [worker], 0.2)
    told = recorded(worker)
    for _ in range(3):
        for _ in range(10):
            clock.advance(HOLD_S / 10)
            register._ends = dict.fromkeys(register._ends, math.inf)  # it was renewed meanwhile
            worker.owner.tend()
    assert [want.host for each in told for want in each.holds] == ["h"] * 3


def test_a_host_goes_back_that_only_the_register_believes_to_be_here(clock, register):
    """It has forgotten the last second, in which the host went back."""
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    member = one.crawl("h", delay_s=4.0)
    run(clock, [one], 0.5)
    before = deepcopy(register._entries["h"])
    one.stop(member)
    run(clock, [one], 0.5)
    register._entries["h"] = before
    other.crawl("h", delay_s=1.0)
    run(clock, [one, other], 8.0)
    assert other.sent
    assert gaps(one, other, host="h")[0] >= 4.0 - EARLY_S


def test_a_pause_that_grows_is_told(clock, register):
    worker = Worker("a", register, clock)
    worker.crawl("h", delay_s=1.0)
    run(clock, [worker], 0.2)
    told = recorded(worker)
    worker.crawl("h", delay_s=7.0)
    worker.owner.tend()
    worker.owner.tend()
    assert [each.holds for each in told] == [[Want("h", 7.0)], []]


def test_very_many_wishes_are_repeated_at_a_bounded_rate(clock, register, monkeypatch):
    monkeypatch.setattr(host_owner, "WISHES_A_SECOND", 10)
    one, other = Worker("a", register, clock), Worker("b", register, clock)
    for number in range(50):
        one.crawl(f"h{number}", delay_s=60.0)
    run(clock, [one], 0.2)
    for number in range(50):
        other.crawl(f"h{number}", delay_s=60.0)
    run(clock, [other], 0.2)
    told = recorded(other)
    for _ in range(4):
        clock.advance(1.0)
        one.owner.tend()
        other.owner.tend()
    assert not any(each.wants for each in told)
    clock.advance(1.5)
    other.owner.tend()
    assert len(told[-1].wants) == 50


@settings(max_examples=examples(24))
@given(st.integers(0, 2**32))
def test_whatever_happens_no_request_is_early_and_each_worker_is_served(seed):
    """Workers die, pause, lose the register and its answers; answers take up to half a second."""
    chance = random.Random(seed)
    clock = ManualClock()
    register = MemoryHostRegister(clock)
    workers = [
        Worker(str(number), register, clock, lambda: chance.random() / 2) for number in range(4)
    ]
    for worker in workers:
        for host in "gh":
            worker.crawl(host)
    alive = list(workers)
    for _ in range(20):
        awake = [worker for worker in alive if chance.random() < 0.8]
        for worker in alive:
            worker.line.is_away = chance.random() < 0.2
            worker.line.loses_answers = chance.random() < 0.2
        run(clock, awake, chance.choice([0.2, 1.0, 3.0, 8.0]))
        if len(alive) > 1 and chance.random() < 0.1:
            alive.pop(chance.randrange(len(alive)))
    for host in "gh":
        assert min(gaps(*workers, host=host), default=math.inf) >= 1.0 - EARLY_S
    for worker in alive:
        worker.line.is_away = worker.line.loses_answers = False
    before = {worker: len(worker.sent) for worker in alive}
    run(clock, alive, 60.0)
    assert all(len(worker.sent) > before[worker] for worker in alive)
