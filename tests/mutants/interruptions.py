"""What rests on a worker's word that the process of a run is gone."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TESTS = "tests/unit/node/test_interruptions.py"
_COMMANDS = "crawler/node/master/commands.py"
_RULES = "crawler/node/master/interruptions.py"
_MODEL = "tests/model/test_model.py"

MUTANTS = [
    Mutant(
        "an interrupted run counts as a failed one",
        _COMMANDS,
        "        if report.interrupted:\n",
        "        if False:\n",
        f"{_TESTS} {_MODEL} -k same_pass or no_fault_of_its_own",
    ),
    Mutant(
        "an interruption spends a retry",
        _RULES,
        "        awaits_spider=False,\n        counts=report.counts,\n",
        "        awaits_spider=False,\n        failed_on=(*resource.failed_on, node_id),\n"
        "        counts=report.counts,\n",
        f"{_TESTS} -k spends_no_retry",
    ),
    Mutant(
        "an interrupted task waits for the pause after an earlier failure",
        _RULES,
        "        return pause_s(in_a_row - AT_ONCE) if in_a_row > AT_ONCE else 0.0\n",
        "        pass\n",
        f"{_TESTS} -k spends_no_retry",
    ),
    Mutant(
        "no interruption is ever charged",
        _RULES,
        "    if not report.charged:\n",
        "    if True:\n",
        f"{_TESTS} {_MODEL} -k charged_ones or is_parked_after",
    ),
    Mutant(
        "every interruption is charged",
        _RULES,
        "    if not report.charged:\n",
        "    if False:\n",
        f"{_TESTS} {_MODEL} -k never_parks or never_parked",
    ),
    Mutant(
        "a charge after a parking does not park again",
        _RULES,
        "processes=processes, until=0)",
        "processes=processes)",
        f"{_TESTS} -k one_more_parks_it",
    ),
    Mutant(
        "a long run acquits a task of nothing",
        _RULES,
        "(0, NO_BLAME) if is_acquitted else (resource.kills, resource.blame)",
        "(resource.kills, resource.blame)",
        f"{_TESTS} -k acquits",
    ),
    Mutant(
        "a task that is interrupted again and again begins at once each time",
        _RULES,
        "if in_a_row > AT_ONCE else 0.0",
        "if False else 0.0",
        f"{_TESTS} -k again_and_again",
    ),
    Mutant(
        "the pauses of a task that is interrupted only ever grow",
        _RULES,
        "resource.interruption.in_a_row + 1 if age_ns < SOON_NS else 1",
        "resource.interruption.in_a_row + 1",
        f"{_TESTS} -k first_of_its_row",
    ),
    Mutant(
        "an interrupted task keeps its owner, and so its epoch",
        _RULES,
        "        owner=None,\n        state=State.PENDING,\n",
        "        state=State.ASSIGNED,\n",
        f"{_TESTS} {_MODEL} -k next_epoch or no_fault_of_its_own",
    ),
    Mutant(
        "the next run of an interrupted task has the same epoch",
        "crawler/node/master/assignment.py",
        "    return min((resource.epoch or resource.mod_revision) + 1, MOST_EPOCH)\n",
        "    again = int(not resource.interruption.reason)\n"
        "    return min((resource.epoch or resource.mod_revision) + again, MOST_EPOCH)\n",
        f"{_TESTS} {_MODEL} -k next_epoch or no_fault_of_its_own",
    ),
    Mutant(
        "a task that was over begins anew when it is interrupted",
        "crawler/node/master/shards.py",
        " and head.failed_on and not head.interruption.reason",
        " and head.failed_on",
        "tests/unit/node/test_shards.py -k interrupted_once_more",
    ),
    Mutant(
        "the death of a worker makes one forget the processes that died",
        "crawler/node/master/poison.py",
        "replace(task.blame, lives=lives[-MOST_LIVES:], until=0)",
        "Blame(lives[-MOST_LIVES:], task.blame.parkings)",
        f"{_TESTS} -k told_apart",
    ),
    Mutant(
        "nobody hears that a task was interrupted",
        "crawler/model/records.py",
        'return self.interruption.reason and f"{self.interruption.reason}; placed again"',
        'return ""',
        f"{_TESTS} -k why_a_task_runs_again",
    ),
    Mutant(
        "a running task may be told to have been interrupted",
        "crawler/api/rpc/codec.py",
        "    if report.interrupted and (state is not State.FAILED or report.awaits_spider):\n",
        "    if False:\n",
        "tests/unit/api/test_codec.py -k only_what_failed",
    ),
    Mutant(
        "the state of a task is removed where its spider is not known",
        "crawler/model/records.py",
        "return self.state.finished and not self.awaits_spider",
        "return self.state.finished",
        "tests/unit/node/test_fates.py",
    ),
]
