"""What rests on the wish that a task rests, ends or runs once more."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TESTS = "tests/unit/node/test_life.py"
_CRAWLS = "tests/integration/test_life_of_crawls.py"
_LIFE = "crawler/node/master/life.py"
_PAUSES = "crawler/node/master/pauses.py"
_ASSIGNMENT = "crawler/node/master/assignment.py"

MUTANTS = [
    Mutant(
        "a paused task is placed",
        _ASSIGNMENT,
        "    if resource.paused:\n        return False\n",
        "",
        f"{_TESTS} -k holds_under or no_worker_and",
    ),
    Mutant(
        "a paused task that another program gives to a worker runs there",
        "crawler/node/master/placement.py",
        "                    self._bring_in_line(draft, resource)\n",
        "                    pass\n",
        f"{_TESTS} -k taken_back",
    ),
    Mutant(
        "a pause ends with its leader",
        "crawler/coordination/codec.py",
        "        _encode_pause(resource.paused),\n",
        "        None,\n",
        f"{_TESTS} {_CRAWLS} -k read_again or change_of_the_leader",
    ),
    Mutant(
        "the shards of a paused task go on",
        "crawler/node/master/shards.py",
        "        return like_head(_with_bundle_of(head, changed), head, self.with_counts)\n",
        "        return changed\n",
        f"{_TESTS} -k rest_with_it",
    ),
    Mutant(
        "a resumed task goes to any worker, wherever its state lies",
        _LIFE,
        "        home = self.home(present)\n",
        "        home = None\n",
        f"{_TESTS} {_CRAWLS} -k goes_back or worker_that_had_it",
    ),
    Mutant(
        "a resumed task goes to the worker that had it although that may not have it",
        "crawler/node/master/life_requests.py",
        "        return found.node if suits else None\n",
        "        return found.node\n",
        f"{_CRAWLS} -k may_not_have_it",
    ),
    Mutant(
        "a pause loses what was counted",
        _PAUSES,
        "    found = counted(resource).replace(running=0, interruption=interruption)\n",
        "    found = resource.replace(running=0, interruption=interruption)\n",
        f"{_TESTS} -k counted_last",
    ),
    Mutant(
        "a stopped task that waited for its spider runs when a worker brings it",
        _LIFE,
        "reason=reason, awaits_spider=False, running=0",
        "reason=reason, running=0",
        f"{_TESTS} -k never_runs_once",
    ),
    Mutant(
        "a stopped crawl is cut off",
        "crawler/node/worker/fates.py",
        "            return Fate.STOPPED\n",
        "            return Fate.OVER\n",
        f"{_CRAWLS} -k ends_in_order",
    ),
    Mutant(
        "a stopped crawl leaves its files and its state",
        "crawler/node/worker/worker.py",
        '            self._clearing.spawn("end", self._end_stopped, run)\n',
        "            pass\n",
        f"{_CRAWLS} -k ends_in_order",
    ),
    Mutant(
        "a stopped task goes on where it was when somebody asks for it again",
        _ASSIGNMENT,
        "resource.state is State.FAILED and not resource.stopped",
        "resource.state is State.FAILED",
        f"{_TESTS} -k its_number_rises",
    ),
    Mutant(
        "a failed task that is to run once more goes on where it was",
        _LIFE,
        "        draft.put(anew(present).replace(resumes=0, run=next_run(present)))\n",
        "        draft.put(anew(present).replace(run=next_run(present)))\n",
        f"{_TESTS} -k its_number_rises",
    ),
    Mutant(
        "a task that moves is in its first run again",
        "crawler/model/records.py",
        "*(self.paused or NOT_PAUSED, False, self.run, self.digest)",
        "*(self.paused or NOT_PAUSED, False, 1, self.digest)",
        f"{_TESTS} -k when_the_task_moves",
    ),
]
