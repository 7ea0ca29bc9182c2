"""What every register of hosts keeps: one owner at a time, and a line in order."""

import itertools
import time
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import pytest

from crawler.clock import ManualClock, SystemClock
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.politeness.host_register import (
    NOBODY_S,
    MemoryHostRegister,
    RegisterAway,
    Return,
    Told,
    Want,
)
from crawler.engine.politeness.redis_host_functions import CODE, KEPT_MS
from crawler.engine.politeness.redis_host_register import SLOTS, RedisHostRegister
from crawler.node.crew.hosts import DistantRegister
from crawler.settings.redis_url import parsed
from tests.crews import Questions
from tests.redis_servers import Redis
from tests.unit.engine.test_host_owner import STEP_S, Worker, gaps
from tests.waiting import eventually

LEASE_S = 60.0
"""Longer than a busy machine holds up a test. No test waits for it: their clocks are moved."""


class InMemory:
    def __init__(self):
        self._clock = ManualClock()
        self.register = MemoryHostRegister(self._clock, LEASE_S)

    def wait(self, duration_s):
        self._clock.advance(duration_s)


class BehindAChannel(InMemory):
    """In a worker, as one of its crawl processes has it."""

    def __init__(self):
        super().__init__()
        self.line = Questions(self._clock)
        self.register = PerToken(self.line, LEASE_S)
        self.line.hosts._register.lease_s = LEASE_S

    def close(self):
        self.line.close()


class PerToken:
    """These tests call the tokens of several processes through one register."""

    def __init__(self, line, lease_s):
        self._line = line
        self.lease_s = lease_s
        self._registers = {}

    def tell(self, token, told):
        number = len(self._registers) + 1
        register = self._registers.setdefault(
            token, DistantRegister(partial(self._line.ask, number), self.lease_s)
        )
        return register.tell(token, told)


SHORT_S = 1.5
"""A lease in Redis, by the clock of its machine. A busy one may hold up a test for a second."""


class InRedis:
    code = CODE

    def __init__(self, url, slots, lease_s=SHORT_S):
        self.server = RedisServer(Access(parsed(url)), libraries=[self.code])
        self.register = RedisHostRegister(self.server, uuid4().hex, slots, lease_s)


class InMovedRedis(InRedis):
    """A Redis whose clock a test moves: our functions add what it has noted there."""

    code = CODE.replace(
        "local time = redis.call('TIME')\n",
        "local time = redis.call('TIME')\n"
        "  time[1] = time[1] + (redis.call('GET', 'moved_s') or 0)\n",
    )

    def __init__(self, url, slots):
        super().__init__(url, slots, LEASE_S)

    def wait(self, duration_s):
        self.server.ask("INCRBYFLOAT", "moved_s", duration_s)


@pytest.fixture(params=["memory", "channel", "redis", "redis in slots"])
def place(request):
    if request.param == "memory":
        yield InMemory()
        return
    if request.param == "channel":
        place = BehindAChannel()
        yield place
        place.close()
        return
    url = request.getfixturevalue("redis").url
    place = InMovedRedis(url, SLOTS if request.param == "redis in slots" else 1)
    yield place
    place.server.close()


@pytest.fixture
def register(place):
    return place.register


def want(register, token, host, pause_s=0.0):
    """Ask for a host; the grant, None if there is none yet."""
    return granted(register.tell(token, Told(wants=[Want(host, pause_s)])), host)


def granted(answer, host):
    assert answer.is_valid
    return next((grant for grant in answer.granted if grant.host == host), None)


class ComesBack:
    """Asks for a host. Who was silent too long, as on a busy machine, has lost its token, and comes
    back with another."""

    def __init__(self, register, host):
        self._register, self._host = register, host
        self._tokens = map("a.{}".format, itertools.count(2))
        self._token = next(self._tokens)

    def asks(self):
        """The grant; None if there is none yet."""
        answer = self._register.tell(self._token, Told(wants=[Want(self._host, 0.0)]))
        if answer.is_valid:
            return granted(answer, self._host)
        self._token = next(self._tokens)
        return None


def test_a_free_host_is_granted_at_once_and_nobody_else_gets_it(register):
    assert want(register, "a", "h").wait_s == 0.0
    assert want(register, "b", "h") is None
    assert want(register, "b", "i").host == "i"


def test_a_host_that_comes_back_goes_to_the_first_in_line(register):
    want(register, "a", "h")
    for token in "bc":
        assert want(register, token, "h") is None
    register.tell("a", Told(returns=[Return("h", 0.0, "told", 60.0)]))
    assert granted(register.tell("c", Told()), "h") is None
    grant = granted(register.tell("b", Told()), "h")
    assert grant.state == "told"
    register.tell("b", Told(returns=[Return("h", 0.0)]))
    assert granted(register.tell("c", Told()), "h").state == ""


def test_what_must_still_pass_is_told(place, register):
    want(register, "a", "h")
    register.tell("a", Told(returns=[Return("h", 400.0, "told", 600.0)]))
    place.wait(100.0)
    grant = want(register, "b", "h")
    assert 200.0 < grant.wait_s <= 300.001
    assert grant.age_s >= 99.998  # rounded down, by less than two milliseconds


def test_what_was_told_is_no_younger_because_moments_are_rounded(shared_redis):
    register, ages = InRedis(shared_redis.url, 1, 5.0).register, []
    for number in range(100):
        host, began_s = f"told{number}", time.monotonic()
        register.tell("a", Told(wants=[Want(host, 1.0)]))
        register.tell("a", Told(returns=[Return(host, 0.5, "known", 1.0)]))
        [grant] = register.tell("b", Told(wants=[Want(host, 1.0)])).granted
        ages.append(grant.age_s - (time.monotonic() - began_s))
    assert max(ages) <= 0


def test_a_pause_ends_no_sooner_because_moments_are_rounded(shared_redis):
    """The server knows microseconds, and the register notes milliseconds."""
    place = InRedis(shared_redis.url, 1, lease_s=60.0)
    sooner_us = []
    with shared_redis.client() as client:
        for number in range(100):
            want(place.register, "a", f"h{number}")
            seconds, microseconds = client.time()
            place.register.tell("a", Told(returns=[Return(f"h{number}", 0.02, "", 60.0)]))
            [key] = client.scan_iter(f"*:h:h{number}", count=100_000)
            free_ms = int(client.hget(key, "free"))
            sooner_us.append((seconds * 1000 + 20 - free_ms) * 1000 + microseconds)
            client.delete(key)
    place.server.close()
    assert max(sooner_us) <= 0


def test_the_owner_learns_who_waits_and_the_longest_pause(register):
    want(register, "a", "h", 1.0)
    want(register, "b", "h", 2.0)
    want(register, "c", "h", 3.5)
    assert register.tell("a", Told()).sought == [Want("h", 3.5)]
    assert register.tell("a", Told()).sought == []
    want(register, "b", "h", 2.0)  # asks again
    assert register.tell("a", Told()).sought == [Want("h", 3.5)]


def test_the_owner_learns_who_has_left_the_line(register):
    want(register, "a", "h")
    want(register, "b", "h", 2.0)
    want(register, "c", "h", 3.5)
    register.tell("a", Told())
    register.tell("c", Told(leaves=["h"]))
    assert register.tell("a", Told()).sought == [Want("h", 2.0)]
    register.tell("b", Told(leaves=["h"]))
    assert register.tell("a", Told()).sought == [Want("h", NOBODY_S)]
    register.tell("b", Told(leaves=["h"]))  # again
    assert register.tell("a", Told()).sought == []


@pytest.mark.parametrize("pause_s", [0.5, 4.0])
def test_a_wish_that_is_repeated_tells_its_present_pause(register, pause_s):
    want(register, "a", "h")
    want(register, "b", "h", 2.0)
    register.tell("a", Told())
    want(register, "b", "h", pause_s)
    assert register.tell("a", Told()).sought == [Want("h", pause_s)]


def test_the_pause_of_a_dead_token_in_the_line_does_not_count(place, register):
    want(register, "a", "h")
    want(register, "dead", "h", 9.0)
    for _ in range(3):
        place.wait(LEASE_S / 2)
        register.tell("a", Told())
        register.tell("c", Told())
    want(register, "c", "h", 2.0)
    assert register.tell("a", Told()).sought == [Want("h", 2.0)]


def test_who_gives_a_host_back_and_wants_it_again_is_known_to_the_next_owner_at_once(register):
    want(register, "a", "h", 3.0)
    want(register, "b", "h", 0.1)
    register.tell("a", Told(returns=[Return("h", 0.0)], wants=[Want("h", 3.0)]))
    answer = register.tell("b", Told())
    assert granted(answer, "h")
    assert answer.sought == [Want("h", 3.0)]


def test_who_leaves_the_line_gets_nothing(register):
    want(register, "a", "h")
    want(register, "b", "h")
    want(register, "c", "h")
    register.tell("b", Told(leaves=["h"]))
    register.tell("a", Told(returns=[Return("h", 0.0)]))
    assert granted(register.tell("b", Told()), "h") is None
    assert granted(register.tell("c", Told()), "h")


def test_a_host_of_a_token_that_has_ended_is_free_after_the_pause(place, register):
    want(register, "a", "h", pause_s=600.0)
    assert want(register, "b", "h") is None
    for _ in range(3):
        place.wait(LEASE_S / 2)
        grant = want(register, "b", "h")
        if grant:
            break
    assert 500.0 < grant.wait_s <= 600.0
    assert not register.tell("a", Told()).is_valid


def test_a_host_of_a_token_that_has_ended_is_free_after_the_pause_of_those_that_wait(
    place, register
):
    """Nobody knows when the dead worker has sent last."""
    want(register, "a", "h", pause_s=0.1)
    want(register, "b", "h", pause_s=0.2)
    for _ in range(3):
        place.wait(LEASE_S / 2)
        register.tell("b", Told())
        register.tell("c", Told())
    want(register, "c", "h", pause_s=600.0)
    assert 500.0 < granted(register.tell("b", Told()), "h").wait_s <= 600.0


def test_a_token_that_is_renewed_keeps_its_hosts(place, register):
    want(register, "a", "h")
    for _ in range(4):
        place.wait(LEASE_S / 2)
        assert register.tell("a", Told()).is_valid
        assert want(register, "b", "h") is None


def test_a_dead_token_in_the_line_is_passed_over(place, register):
    want(register, "a", "h")
    want(register, "dead", "h")
    want(register, "c", "h")
    for _ in range(3):
        place.wait(LEASE_S / 2)
        register.tell("a", Told())
        want(register, "c", "h")
    register.tell("a", Told(returns=[Return("h", 0.0)]))
    assert granted(register.tell("c", Told()), "h")
    assert not register.tell("dead", Told()).is_valid


def test_a_return_by_who_does_not_own_it_changes_nothing(register):
    want(register, "a", "h")
    want(register, "b", "h")
    register.tell("c", Told(returns=[Return("h", 0.0)]))
    assert granted(register.tell("b", Told()), "h") is None


def test_a_wish_for_an_own_host_is_granted_again(register):
    """The answer that granted it may have been lost."""
    want(register, "a", "h")
    assert want(register, "a", "h").host == "h"


def test_a_host_that_came_to_who_has_left_is_told_so_that_it_goes_back(register):
    """The answer that granted it may have been lost."""
    want(register, "a", "h")
    register.tell("a", Told(returns=[Return("h", 5.0, "rests", 60.0)]))
    want(register, "b", "h")
    grant = granted(register.tell("b", Told(leaves=["h"])), "h")
    assert grant.wait_s > 4.0
    assert grant.state == "rests"


def test_the_last_call_ends_the_token(place, register):
    want(register, "a", "h", pause_s=0.0)
    register.tell("a", Told(is_last=True))
    place.wait(0.01)
    assert want(register, "b", "h")
    assert not register.tell("a", Told()).is_valid


def test_many_hosts_at_once(register):
    wants = [Want(f"h{number}", 0.0) for number in range(1200)]
    assert len(register.tell("a", Told(wants=wants)).granted) == 1200
    returns = [Return(want.host, 0.0) for want in wants]
    register.tell("a", Told(returns=returns))
    assert len(register.tell("b", Told(wants=wants)).granted) == 1200


# -- Redis alone -----------------------------------------------------------------------------------


@contextmanager
def own_redis(*options):
    server = Redis(*options)
    server.start()
    try:
        yield server
    finally:
        server.remove()


def test_a_server_that_was_restarted_grants_nothing_until_all_have_told_what_they_own():
    with own_redis() as server:
        place = InRedis(server.url, 1, lease_s=4.0)
        register = place.register
        want(register, "a", "h")
        server.kill()
        with pytest.raises(RegisterAway):
            register.tell("a", Told())
        server.start()
        assert register.tell("a", Told()).has_forgotten
        assert not register.tell("a", Told(holds=[Want("lost", 0.0)])).has_forgotten
        assert want(register, "c", "new") is None

        def is_granted():
            register.tell("a", Told())
            return want(register, "c", "new")

        eventually(is_granted)
        assert want(register, "c", "lost") is None
        assert want(register, "c", "h") is None
        place.server.close()


def test_two_workers_keep_the_pause_of_a_task_only_as_long_as_it_is_there(shared_redis):
    place, clock, host = InRedis(shared_redis.url, 1, lease_s=5.0), SystemClock(), uuid4().hex
    one, other = workers = [Worker(name, place.register, clock) for name in "ab"]

    def gaps_of(duration_s, least=0):
        for worker in workers:
            worker.sent.clear()
        end_s = clock.monotonic() + duration_s
        while clock.monotonic() < end_s or len(gaps(*workers, host=host)) < least:
            for worker in workers:
                worker.step()
            clock.sleep(STEP_S)
        return gaps(*workers, host=host)

    def is_quick():
        return min(gaps_of(1.0, least=1)) < 0.4

    quick = one.crawl(host, delay_s=0.1)
    gaps_of(0.3)
    slow = other.crawl(host, delay_s=0.8)
    gaps_of(3 * STEP_S)
    assert min(gaps_of(1.8, least=1)) >= 0.79
    other.stop(slow)
    gaps_of(0.9)
    eventually(is_quick)
    other.crawl(host, delay_s=0.8)
    gaps_of(3 * STEP_S)
    one.stop(quick)
    for member in list(other.members):
        other.stop(member)
    gaps_of(1.0)
    one.crawl(host, delay_s=0.1)
    eventually(is_quick)
    place.server.close()


def test_a_clock_that_was_set_back_keeps_no_host_for_long(shared_redis):
    place = InRedis(shared_redis.url, 1)
    register, dead, rests, name = place.register, uuid4().hex, uuid4().hex, uuid4().hex
    for host in (dead, rests):
        want(register, f"old {name}", host, 0.1)
    register.tell(f"old {name}", Told(returns=[Return(rests, 0.2, keep_s=60.0)]))
    hour_ms = 3_600_000
    with shared_redis.client() as client:
        [key] = client.keys(f"*:h:{rests}")
        client.hincrby(key, "free", hour_ms)
        tokens = f"{key.decode().partition('}')[0]}}}:tokens"
        client.hincrby(tokens, f"old {name}", hour_ms)
    assert want(register, name, rests).wait_s <= 0.2
    eventually(lambda: want(register, name, dead))
    place.server.close()


def test_a_host_is_kept_as_long_as_its_owner_says_that_it_has_it(shared_redis):
    place = InRedis(shared_redis.url, 1)
    name = uuid4().hex
    want(place.register, "a", name)
    with shared_redis.client() as client:
        [key] = client.keys(f"*:h:{name}")
        client.pexpire(key, 60_000)  # the day is almost over
        place.register.tell("a", Told(holds=[Want(name, 1.0)]))
        assert client.pttl(key) > KEPT_MS / 2
    place.server.close()


def test_a_server_that_has_lost_everything_ends_all_tokens_and_grants_nothing_for_a_while():
    with own_redis() as server:
        place = InRedis(server.url, 1)
        register = place.register
        want(register, "a", "h")
        want(register, "b", "i")
        with server.client() as client:
            client.flushall()
        assert not register.tell("a", Told()).is_valid
        assert want(register, "a.2", "i") is None, "its owner may not know yet"
        assert not register.tell("b", Told()).is_valid
        eventually(ComesBack(register, "i").asks)
        place.server.close()


def test_a_host_that_was_handed_on_just_before_a_loss_is_its_last_owners():
    with own_redis() as server:
        place = InRedis(server.url, 1, lease_s=4.0)
        register = place.register
        want(register, "a", "h")
        want(register, "b", "other")
        with server.client() as client:
            [before] = client.keys("*:h:h")
            kept = client.hgetall(before)
            register.tell("a", Told(returns=[Return("h", 0.0)]))
            assert want(register, "b", "h")
            client.hset(before, mapping=kept)
        server.kill()
        with pytest.raises(RegisterAway):
            register.tell("b", Told())
        server.start()
        assert register.tell("b", Told()).has_forgotten
        register.tell("b", Told(holds=[Want("h", 0.0)]))

        def is_over():
            register.tell("b", Told())
            return want(register, "a", "free")

        eventually(is_over)
        assert want(register, "a", "h") is None
        place.server.close()
