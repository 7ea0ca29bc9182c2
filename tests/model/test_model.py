"""The control plane under anything that may happen to it, and what must hold all the same.

    MODEL_STEPS=20000 python -m pytest tests/model      a deep run, with a new seed, which it prints
    MODEL_SEED=17 MODEL_STEPS=…                         the same run again
    MODEL_SHRINK=1 …                                    a failure is made short (takes minutes)

Without these it is a short run, the same each time. A failure prints its steps as a script, and
below it the history: everything that was written, by whom, and what the clients heard.
"""

from __future__ import annotations

import os
import random

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from crawler.model.records import Resource, Spec
from tests.depth import examples
from tests.model.checks import Checks
from tests.model.machine import ClusterMachine
from tests.model.nodes import POISON_AFTER, TTL_S, Host, Process
from tests.model.schedules import EVERY_S
from tests.model.world import World

STEPS = int(os.environ.get("MODEL_STEPS", "0"))
SHRINK = bool(os.environ.get("MODEL_SHRINK"))
STEPS_EACH = 50
SHORT = examples(120)
"""Examples of the short run."""

CHUNK = 100
"""Examples of a deep run that share a seed: hypothesis remembers all it tried, so it starts anew
now and then."""


def settings(examples: int, *, same_each_time: bool) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=STEPS_EACH,
        deadline=None,
        database=None,
        derandomize=same_each_time,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.skipif(STEPS > 0, reason="the deep run is asked for")
@pytest.mark.timeout(600 if SHRINK else max(300, SHORT))
def test_the_cluster_keeps_its_promises():
    run_state_machine_as_test(ClusterMachine, settings=settings(SHORT, same_each_time=True))


@pytest.mark.skipif(STEPS == 0, reason="only with MODEL_STEPS")
@pytest.mark.timeout(0)
def test_the_cluster_keeps_its_promises_for_long(capsys):
    seed = int(os.environ.get("MODEL_SEED") or random.randrange(10**6))
    for number in range(max(1, STEPS // (CHUNK * STEPS_EACH))):
        with capsys.disabled():
            print(f"\nMODEL_SEED={seed + number}", end="", flush=True)
        machine = hypothesis.seed(seed + number)(type("Seeded", (ClusterMachine,), {}))
        run_state_machine_as_test(machine, settings=settings(CHUNK, same_each_time=False))


def test_the_same_steps_make_the_same_run():
    """Else a failure could not be repeated, and what passes would say little."""
    assert _trace_of_a_run() == _trace_of_a_run()


def test_a_task_whose_processes_go_through_no_fault_of_its_own_is_never_parked():
    """It goes on where it was, each time in a later epoch, after a pause if that goes on."""
    versions = _interrupted(charged=False, times=20)
    assert not any(each.blame.parkings or each.kills for each in versions)
    assert len({each.epoch for each in versions if each.owner}) > 20
    assert versions[-1].owner is not None


def test_a_task_that_ends_its_processes_is_parked_after_so_many():
    versions = _interrupted(charged=True, times=POISON_AFTER)
    parked = next(each for each in versions if each.blame.parkings)
    assert (parked.kills, parked.blame.processes) == (POISON_AFTER, POISON_AFTER)
    assert parked.reason.startswith(f"parked: {POISON_AFTER} processes died of it")


def test_a_task_has_as_many_shards_as_it_asks_for_whatever_happens_to_its_workers():
    world = World(workers=3, schedule=7)
    checks = Checks(world)
    try:
        for host in world.hosts.values():
            world.start(host)
        world.advance(1.0, checks.moment)
        for kind, workers in (("add", 1), *(("update", n) for n in (3, 2, 3, 1, 3))):
            world.request(kind, Spec("a", spider="common", workers=workers), world.masters[1])
            world.advance(0.5, checks.moment)
            world.crash(world.workers[workers - 1])
            world.advance(4.0 * TTL_S, checks.moment)
            world.revive()
            world.advance(4.0 * TTL_S, checks.moment)
            checks.rest()
            assert len(world.history.resources) == workers
        world.request("delete", Spec("a"), world.masters[1])
        world.advance(4.0 * TTL_S, checks.moment)
        checks.rest()
        assert not world.history.resources
    finally:
        world.close()


def test_a_task_rests_and_goes_on_and_ends_whatever_happens_to_its_nodes():
    """None of it is undone by a leader that goes, or by a worker that does."""
    world = World(workers=3, schedule=7)
    checks = Checks(world)
    try:
        for host in world.hosts.values():
            world.start(host)
        world.advance(1.0, checks.moment)
        world.request("add", Spec("a", spider="common", workers=2), world.masters[1])
        world.advance(4.0, checks.moment)
        for kind, shown in (
            *(("pause", "paused"), ("resume", "running"), ("pause", "paused")),
            *(("stop", "stopped"), ("run", "running"), ("stop", "stopped")),
        ):
            world.request(kind, Spec("a"), world.masters[1])
            world.advance(0.5, checks.moment)
            for host in (world.masters[0], world.workers[0]):
                world.crash(host)
            world.advance(4.0 * TTL_S, checks.moment)
            world.revive()
            world.advance(4.0 * TTL_S, checks.moment)
            checks.rest()
            assert world.history.resources["a"].told_state == shown
        assert world.history.resources["a"].run == 2
        pages = [run for run in world.runs if run.task == "a"]
        assert len({run.epoch for run in pages}) == len(pages), "none in one epoch twice"
    finally:
        world.close()


def test_a_schedule_fires_on_while_leaders_are_lost_in_the_middle_of_its_firings():
    """One after another is cut off when the task has begun, and crashes soon or lives on."""
    world = World(workers=1, schedule=7)
    checks = Checks(world)
    world.schedule()
    try:
        for host in world.hosts.values():
            world.start(host)
        for number in range(12):
            cut = world.history.firings.on_began = _Cut(world, of_answers=number % 2 == 0)
            world.advance(EVERY_S + (0.5 if number % 3 else TTL_S), checks.moment)
            assert cut.host is not None
            if cut.host.process is not None and number % 4:
                world.crash(cut.host)
            world.mend(cut.host)
            world.advance(2.0 * TTL_S, checks.moment)
            world.revive()
        world.pause_schedule(True)
        world.advance(4.0 * TTL_S, checks.moment)
        checks.rest()
        assert len(world.history.firings.moments) >= 12
    finally:
        world.close()


class _Cut:
    """Cuts the leader off from etcd, or from its answers, once."""

    def __init__(self, world: World, of_answers: bool) -> None:
        self._world, self._of_answers = world, of_answers
        self.host: Host | None = None

    def __call__(self) -> None:
        leader = self._world.history.leader()
        if self.host is None and leader is not None and isinstance(leader[1], Process):
            self.host = leader[1].host
            wire = self.host.wire
            (wire.answers if self._of_answers else wire.requests).clear()


def _interrupted(charged: bool, times: int) -> list[Resource]:
    """Every version of a task that is interrupted so often, each time when it runs."""
    world = World(workers=2, poison_after=POISON_AFTER)
    checks = Checks(world)
    try:
        for host in world.hosts.values():
            world.start(host)
        world.advance(1.0, checks.moment)
        world.request("add", Spec("a", spider="common"), world.masters[1])
        for _ in range(times):
            _advance_until_interrupted(world, checks, charged)
        world.advance(90.0, checks.moment)
        checks.rest()
        return [version for _, version in world.history.versions["a"] if version is not None]
    finally:
        world.close()


def _advance_until_interrupted(world: World, checks: Checks, charged: bool) -> None:
    for _ in range(100):
        world.advance(2.0, checks.moment)
        if world.interrupt("a", charged):
            return
    raise AssertionError("it does not run again")


def _trace_of_a_run() -> list[str]:
    world = World(workers=3, schedule=7)
    checks = Checks(world)
    try:
        for host in world.hosts.values():
            world.start(host)
        world.advance(1.0, checks.moment)
        for name in "abcdef":
            world.request("add", Spec(name, spider="common"), world.masters[1])
        world.advance(1.0, checks.moment)
        world.crash(world.masters[0])
        world.crash(world.workers[0])
        world.pause(world.workers[1])
        world.advance(12.0, checks.moment)
        world.heal()
        world.revive()
        world.advance(20.0, checks.moment)
        checks.rest()
        return world.history.trace
    finally:
        world.close()
