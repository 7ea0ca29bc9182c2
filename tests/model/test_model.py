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

from crawler.model.records import Spec
from tests.depth import examples
from tests.model.checks import Checks
from tests.model.machine import ClusterMachine
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
