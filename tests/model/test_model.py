"""The control plane under anything that may happen to it, and what must hold all the same."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import ClusterMachine

STEPS = int(os.environ.get("MODEL_STEPS", "0"))
"""Steps of the deep run; 0 is the short one, which is the same each time."""

STEPS_EACH = 50


def test_the_cluster_keeps_its_promises():
    examples = max(1, STEPS // STEPS_EACH) if STEPS else 60
    run_state_machine_as_test(
        ClusterMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS_EACH,
            deadline=None,
            database=None,
            derandomize=not STEPS,
            print_blob=bool(STEPS),
            suppress_health_check=list(HealthCheck),
        ),
    )
