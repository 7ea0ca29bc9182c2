"""Faults of the scheduler: what its properties rest on, taken out one at a time."""

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "a worker just chosen is not rated anew",
        "crawler/scheduler/cycle.py",
        "        ranking.chose(task, candidate)\n",
        "        pass\n",
        "tests/unit/scheduler/test_cycle.py",
    ),
    Mutant(
        "what was not committed stays reserved",
        "crawler/node/master/writer.py",
        "                self._mirrors.cluster_state.see(name, self._mirrors.resource(name))\n",
        "                pass\n",
        "tests/model tests/integration/test_fencing.py",
    ),
    Mutant(
        "a task that kills is placed for ever",
        "crawler/node/master/poison.py",
        "        if not self._most or resource.kills < self._most:",
        "        if True:",
        "tests/unit/node/test_poison.py -k kills",
    ),
    Mutant(
        "all tasks of a dead worker are blamed alike",
        "crawler/node/master/poison.py",
        "guilty and task.kills == worst",
        "guilty",
        "tests/unit/node/test_poison.py -k most_suspect",
    ),
    Mutant(
        "several workers that die at once are blamed on their tasks",
        "crawler/node/master/poison.py",
        "len(deaths) == 1 and life == deaths[0]",
        "life in deaths",
        "tests/unit/node/test_poison.py -k at_once",
    ),
    Mutant(
        "a failed run is tried again at once",
        "crawler/node/master/placement.py",
        "        return due_s <= now_s",
        "        return True",
        "tests/unit/node/test_placement.py -k tried_again",
    ),
    Mutant(
        "what is parked is never woken by a worker",
        "crawler/node/master/placement.py",
        "                helps = self._would_take(queue.task, changes.freed)",
        "                helps = False",
        "tests/unit/node/test_placement.py -k parked",
    ),
    Mutant(
        "a task moves again within its cool-down",
        "crawler/node/master/rebalancing.py",
        "now_ns - task.assigned_time >= self._cooldown_ns",
        "True",
        "tests/unit/node/test_rebalancing.py -k share",
    ),
    Mutant(
        "a plugin that fails takes the pass along",
        "crawler/scheduler/plugin_run.py",
        "            self._fault(plugin, hook, fault)\n",
        "            raise fault\n",
        "tests/unit/scheduler/test_framework.py",
    ),
    Mutant(
        "what is repelled is not asked of others",
        "crawler/plugins/affinity.py",
        "            if place.repels(key, label, value):",
        "            if False:",
        "tests/unit/scheduler",
    ),
]
