"""The steps hypothesis may take in the world, in any order, and what is checked after each.

A failing example prints its steps as a script: each line is a rule with its arguments. The history
of the run, everything that was written and by whom, is printed below it.
"""

from __future__ import annotations

from tests.model.fault_steps import FaultSteps


class ClusterMachine(FaultSteps):
    """Anything that may happen to a cluster."""
