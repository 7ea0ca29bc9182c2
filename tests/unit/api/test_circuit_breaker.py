"""When calls to a peer are let through, and when they are refused."""

import pytest

from crawler.api.rpc.circuit_breaker import FAILURES, MOST_PAUSE_S, CircuitBreaker, State
from crawler.clock import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(clock)


def fail(breaker, times=1):
    for _ in range(times):
        breaker.fail(breaker.begin())


def answer(breaker):
    breaker.begin()
    breaker.succeed()


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker, FAILURES - 1)
    assert breaker.state is State.CLOSED
    assert breaker.refuses_for_s == 0
    fail(breaker)
    assert breaker.state is State.OPEN
    assert breaker.refuses_for_s == pytest.approx(0.1)


def test_an_answer_in_between_starts_the_count_anew(breaker):
    for _ in range(3):
        fail(breaker, FAILURES - 1)
        answer(breaker)
    assert breaker.state is State.CLOSED


def test_after_the_pause_one_call_is_let_through(breaker, clock):
    fail(breaker, FAILURES)
    clock.advance(0.1)
    assert breaker.state is State.HALF_OPEN
    assert breaker.refuses_for_s == 0
    breaker.begin()
    clock.advance(60)
    assert breaker.state is State.OPEN
    assert breaker.refuses_for_s > 0
    breaker.succeed()
    assert breaker.state is State.CLOSED


def test_pauses_grow_to_a_bound_and_an_answer_makes_them_short_again(breaker, clock):
    pauses = []
    fail(breaker, FAILURES)
    for _ in range(6):
        pauses.append(breaker.refuses_for_s)
        clock.advance(pauses[-1])
        fail(breaker)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, MOST_PAUSE_S, MOST_PAUSE_S])
    clock.advance(MOST_PAUSE_S)
    answer(breaker)
    fail(breaker, FAILURES)
    assert breaker.refuses_for_s == pytest.approx(0.1)


def test_calls_that_began_before_it_opened_do_not_prolong_it(breaker, clock):
    calls = [breaker.begin() for _ in range(64)]
    for call in calls[:FAILURES]:
        breaker.fail(call)
    clock.advance(0.04)
    for call in calls[FAILURES:]:
        breaker.fail(call)
    assert breaker.refuses_for_s == pytest.approx(0.06)
    clock.advance(0.07)
    assert breaker.state is State.HALF_OPEN


def test_they_do_not_end_a_later_probe_either(breaker, clock):
    early = [breaker.begin() for _ in range(5)]
    fail(breaker, FAILURES)
    clock.advance(0.1)
    probe = breaker.begin()
    breaker.fail(early[0])
    breaker.abandon(early[1])
    assert breaker.state is State.OPEN
    breaker.succeed()
    assert breaker.state is State.CLOSED
    breaker.abandon(probe)
    assert breaker.state is State.CLOSED


def test_a_probe_that_its_caller_gives_up_lets_another_try(breaker, clock):
    fail(breaker, FAILURES)
    clock.advance(0.1)
    breaker.abandon(breaker.begin())
    assert breaker.state is State.HALF_OPEN
