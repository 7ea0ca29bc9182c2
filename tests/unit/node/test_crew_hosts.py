"""What the processes of one worker share of hosts."""

import random

import pytest

from crawler.clock import ManualClock
from crawler.engine.politeness.host_register import (
    FORGOTTEN_S,
    LEASE_S,
    SWEEP_S,
    MemoryHostRegister,
    Return,
    Told,
    Want,
)
from crawler.engine.politeness.robots_shelf import CLAIM_S, Robotstxt
from crawler.node.crew import hosts
from crawler.node.crew.hosts import DistantRegister, DistantShelf, Hosts, MemoryShelf
from tests.unit.engine.test_host_owner import EARLY_S, STEP_S, Worker, gaps


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def shared(clock):
    return Hosts(clock)


def register(shared, process):
    return DistantRegister(lambda what, *values: shared.answer(process, what, *values), LEASE_S)


def granted(answer):
    return [(grant.host, grant.wait_s) for grant in answer.granted]


def want(register, token, host, pause_s=0.0):
    return granted(register.tell(token, Told(wants=[Want(host, pause_s)])))


def test_a_host_of_a_process_that_is_gone_is_anothers_after_its_pause(shared, clock):
    first, second = register(shared, 1), register(shared, 2)
    assert want(first, "a", "h", 2.0) == [("h", 0.0)]
    assert want(second, "b", "h", 1.0) == []
    clock.advance(0.5)
    shared.gone(1)
    clock.advance(0.01)
    assert want(second, "b", "h", 1.0) == [("h", pytest.approx(1.99))]


def test_the_death_of_a_process_ends_no_token_of_another(shared, clock):
    first, second = register(shared, 1), register(shared, 2)
    want(first, "a", "h")
    shared.gone(2)
    shared.gone(3)
    clock.advance(0.01)
    assert want(second, "b", "h") == []
    assert first.tell("a", Told()).is_valid


def test_a_token_that_was_followed_by_another_is_over(shared, clock):
    first = register(shared, 1)
    want(first, "a.1", "h")
    assert want(first, "a.2", "i") == [("i", 0.0)]
    clock.advance(0.01)
    assert not first.tell("a.1", Told()).is_valid


@pytest.mark.parametrize(
    "question",
    [
        ("none",),
        ("tell",),
        ("tell", "a", [["h"]], [], [], [], False),
        ("tell", "a", [["h", "soon"]], [], [], [], False),
        ("tell", "a", [["h", float("nan")]], [], [], [], False),
        ("tell", "a", [], [], [], [["h", "soon", "", 0.0]], False),
        ("tell", "a", [], None, [], [], False),
        ("put", "s", 200, "no base64!", "long"),
        ("get",),
    ],
)
def test_what_is_no_question_harms_nobody(shared, question):
    with pytest.raises((KeyError, TypeError, ValueError)):
        shared.answer(1, *question)
    assert want(register(shared, 2), "b", "h") == [("h", 0.0)]


def test_a_file_travels_whole(shared):
    one = DistantShelf(lambda what, *values: shared.answer(1, what, *values))
    other = DistantShelf(lambda what, *values: shared.answer(2, what, *values))
    assert one.claim("s")
    assert not other.claim("s")
    one.put("s", Robotstxt(200, bytes(range(256)), 60.0))
    assert other.get("s") == Robotstxt(200, bytes(range(256)), 60.0)
    assert other.get("t") is None


# -- the register of a worker that lives long ------------------------------------------------------


def test_hosts_that_nobody_has_or_wants_are_forgotten(clock):
    register = MemoryHostRegister(clock)
    wants = [Want(f"h{number}", 0.0) for number in range(1000)]
    register.tell("a", Told(wants=wants))
    returns = [Return(each.host, 1.0, "rests" if "9" in each.host else "", 600.0) for each in wants]
    register.tell("a", Told(returns=returns))
    register.tell("a", Told(is_last=True))
    register.end("a")
    clock.advance(SWEEP_S)
    register.tell("b", Told())
    assert len(register) == 1000 + 1, "what its owner has told still counts"
    clock.advance(600.0)
    register.end("b")
    register.tell("c", Told())
    assert len(register) == 1


def test_a_pause_that_is_not_over_is_not_forgotten(clock):
    register = MemoryHostRegister(clock)
    want(register, "a", "h")
    register.tell("a", Told(returns=[Return("h", 5 * SWEEP_S)], is_last=True))
    register.end("a")
    for _ in range(4):
        clock.advance(SWEEP_S)
        register.tell("b", Told())
        register.end("b")
    [(_, wait_s)] = want(register, "c", "h")
    assert wait_s == pytest.approx(SWEEP_S)


def test_the_host_of_a_dead_process_is_kept_while_anybody_may_have_to_wait_for_it(clock):
    register = MemoryHostRegister(clock)
    want(register, "a", "h", 0.1)
    register.end("a")
    clock.advance(2 * SWEEP_S)
    [(_, wait_s)] = want(register, "b", "h", 3 * SWEEP_S)
    assert wait_s == pytest.approx(SWEEP_S)


def test_processes_that_come_and_go_leave_nothing(clock):
    register = MemoryHostRegister(clock)
    for number in range(300):
        want(register, f"a{number}", f"h{number}", 0.1)
        want(register, f"b{number}", f"h{number}", 0.1)
        register.end(f"a{number}")
        register.end(f"b{number}")
        clock.advance(SWEEP_S)
    assert len(register) <= 3 * (FORGOTTEN_S / SWEEP_S + 2)


def test_an_ended_token_never_comes_back_while_its_process_lives(clock):
    register = MemoryHostRegister(clock)
    want(register, "a", "h")
    clock.advance(100 * FORGOTTEN_S)
    register.tell("b", Told())
    assert not register.tell("a", Told()).is_valid


# -- the shelf -------------------------------------------------------------------------------------


@pytest.fixture
def shelf(clock):
    return MemoryShelf(clock)


def test_a_file_counts_as_long_as_it_is_kept(shelf, clock):
    shelf.put("s", Robotstxt(200, b"all", 60.0))
    clock.advance(50.0)
    assert shelf.get("s") == Robotstxt(200, b"all", pytest.approx(10.0))
    clock.advance(10.0)
    assert shelf.get("s") is None


def test_a_claim_ends_with_its_file_or_when_it_is_given_up_or_is_old(shelf, clock):
    assert shelf.claim("s")
    assert not shelf.claim("s")
    shelf.give_up("s")
    assert shelf.claim("s")
    clock.advance(CLAIM_S)
    assert shelf.claim("s")
    shelf.put("s", Robotstxt(404, b"", 60.0))
    assert shelf.claim("s")


def test_claims_and_files_do_not_grow_for_ever(shelf, clock, monkeypatch):
    monkeypatch.setattr(hosts, "MOST_FILES_BYTES", 10_000)
    for number in range(1000):
        shelf.claim(f"claimed {number}")
        shelf.put(f"empty {number}", Robotstxt(404, b"", 3600.0))
        clock.advance(1.0)
    assert len(shelf._claims) <= CLAIM_S + 1
    assert len(shelf._files) <= 10_000 / hosts.FILE_BYTES
    assert shelf.get("empty 999")
    assert shelf.get("empty 0") is None


def test_a_file_that_is_put_again_counts_once(shelf):
    for _ in range(3):
        shelf.put("s", Robotstxt(200, b"x" * 1000, 60.0))
    assert shelf._bytes == 1000 + hosts.FILE_BYTES


# -- politeness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_processes_that_die_make_no_other_send_too_early(shared, clock, seed):
    """Each time another one takes the place of the dead one, and wants the same host."""
    chance, pause_s, number = random.Random(seed), 1.0, 0
    living, all_workers = {}, []
    for _ in range(25):
        while len(living) < 3:
            number += 1
            worker = living[number] = Worker(f"process {number}", register(shared, number), clock)
            worker.crawl("h", delay_s=pause_s)
            all_workers.append(worker)
        until_s = clock.monotonic() + chance.uniform(0.1, 4.0)
        while clock.monotonic() < until_s:
            for worker in living.values():
                worker.step()
            clock.advance(STEP_S)
        died = chance.choice([*living])
        del living[died]
        shared.gone(died)
    found = gaps(*all_workers, host="h")
    assert min(found) >= pause_s - EARLY_S
    assert len(found) > 15
    assert max(found) < 4.0, "nobody waited for the lease of a dead process"
