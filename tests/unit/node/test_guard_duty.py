"""What a guard does, and when: by a clock that the test moves, and kills that it counts."""

import pytest

from crawler.node.guard.duty import GONE_S, GRACE_S, LOOK_S, Crawling, Duty, grace_s

ONE, OTHER = Crawling(11, 101), Crawling(12, 0)
TTL_S = 5.0


class Stage:
    """A node with two crawl processes and a lease until 104 s, at 100 s."""

    def __init__(self):
        self.now_s = 100.0
        self.deadline_s = 104.0
        self.done = []
        self.duty = Duty(
            lambda: self.now_s,
            lambda: self.deadline_s,
            lambda crawling: self.done.append(("kill", crawling)),
        )
        self.duty.hold(7, TTL_S)
        self.duty.watch(1, ONE)
        self.duty.watch(2, OTHER)

    def wait(self, killed, most_s):
        self.done.append(("wait", tuple(killed), most_s))

    def revoke(self, lease):
        self.done.append(("revoke", lease))
        return ""


@pytest.fixture
def stage():
    return Stage()


KILLS = [("kill", ONE), ("kill", OTHER)]


def test_nobody_is_killed_before_the_deadline_was_over_for_its_grace(stage):
    for stage.now_s in (100.0, 103.9, 104.0, 104.0 + GRACE_S - 0.001):
        assert not stage.duty.look()
    assert stage.done == []
    stage.now_s = 104.0 + GRACE_S
    assert set(stage.duty.look()) == {ONE, OTHER}
    assert stage.done == KILLS


def test_a_deadline_that_moves_on_spares_all(stage):
    for second in range(100):
        stage.now_s, stage.deadline_s = 100.0 + second, 104.0 + second
        assert not stage.duty.look()


def test_each_is_killed_once(stage):
    stage.now_s = 200.0
    stage.duty.look()
    stage.duty.look()
    assert stage.done == KILLS
    late = Crawling(13, 0)
    stage.duty.watch(3, late)
    assert list(stage.duty.look()) == [late]


def test_without_a_lease_nobody_is_killed(stage):
    stage.now_s, stage.deadline_s = 1e6, 0.0
    assert not stage.duty.look()


def test_who_is_forgotten_is_spared(stage):
    assert stage.duty.forget(1) == ONE
    assert stage.duty.forget(1) is None
    stage.now_s = 200.0
    assert list(stage.duty.look()) == [OTHER]


def test_it_sleeps_until_the_deadline_and_never_long_while_there_is_somebody_to_kill(stage):
    assert stage.duty.sleep_s() == LOOK_S
    stage.now_s = 104.0 + GRACE_S - 0.03
    assert stage.duty.sleep_s() == pytest.approx(0.03)
    stage.now_s = 150.0
    assert stage.duty.sleep_s() == 0.0
    stage.deadline_s = 0.0
    assert stage.duty.sleep_s() == LOOK_S
    stage.duty.forget(1)
    stage.duty.forget(2)
    assert stage.duty.sleep_s() is None


def test_a_dead_nodes_lease_is_revoked_when_all_are_killed_and_gone(stage):
    told = stage.duty.last(stage.wait, stage.revoke)
    assert told == "killed 2 crawl processes, and revoked its lease"
    assert stage.done == [*KILLS, ("wait", (ONE, OTHER), GONE_S), ("revoke", 7)]


def test_a_lease_that_was_given_up_is_not_revoked(stage):
    stage.duty.release()
    stage.duty.last(stage.wait, stage.revoke)
    assert stage.done == [*KILLS, ("wait", (ONE, OTHER), GONE_S)]


def test_only_the_last_lease_is_revoked(stage):
    stage.duty.release()
    stage.duty.hold(8, TTL_S)
    stage.duty.last(stage.wait, stage.revoke)
    assert stage.done[-1] == ("revoke", 8)


def test_why_a_lease_was_not_revoked_is_told(stage):
    told = stage.duty.last(stage.wait, lambda lease: "etcd is away")
    assert told.endswith("did not revoke its lease: etcd is away")


@pytest.mark.parametrize("ttl_s", [2, 3, 5, 30, 300])
def test_it_kills_before_the_lease_ends_also_by_a_clock_that_runs_a_tenth_slower(ttl_s):
    """And leaves time to be late in: a look, and the time until it has a processor."""
    killed_s = (0.8 * ttl_s + grace_s(ttl_s)) * 1.1
    assert ttl_s - killed_s >= ttl_s * 0.06 > LOOK_S
