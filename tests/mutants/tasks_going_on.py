"""What a task that goes on promises: docs/crawling-on.md, "In a cluster"."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_RUNS = "tests/integration/test_going_on.py"
_STATES = "tests/unit/node/test_states.py"
_FILES = "tests/unit/engine/test_sqlite_store.py"
_DECISIONS = "tests/unit/node/test_decisions.py"

MUTANTS = [
    Mutant(
        "a run begins although one of its epoch has begun before etcd was put back to a backup",
        "crawler/node/run/told_runs.py",
        "if resource.epoch <= last:",
        "if False:",
        "tests/unit/node/test_told_runs.py -k of_the_past",
    ),
    Mutant(
        "a look at a store ends the lock of its own process",
        "crawler/engine/frontier/sqlite_files.py",
        "os.O_RDWR | os.O_CREAT | os.O_EXCL",
        "os.O_RDWR | os.O_CREAT",
        f"{_FILES} -k does_not_end_the_lock",
    ),
    Mutant(
        "what a run that was cut off has opened stays locked",
        "crawler/engine/frontier/sqlite_store.py",
        "        made.append(journal)\n",
        "",
        f"{_FILES} -k cut_off_anywhere",
    ),
    Mutant(
        "a run does not wait for the one before",
        "crawler/node/run/states.py",
        "store.open(resource.epoch, patience_s)",
        "store.open(resource.epoch)",
        f"{_STATES} -k waits_for_the_one_before",
    ),
    Mutant(
        "an earlier run takes the state of a later one",
        "crawler/node/run/states.py",
        "store.open(resource.epoch, patience_s)",
        "store.open(None, patience_s)",
        f"{_STATES} -k disturbs_no_later_one",
    ),
    Mutant(
        "a state of other arguments is gone on with",
        "crawler/node/run/states.py",
        "if before != now:",
        "if False:",
        f"{_STATES} -k is_not_about",
    ),
    Mutant(
        "a retry only tells the failure again",
        "crawler/node/run/states.py",
        "if has_failed and kept.value(TRIES) != tried(resource):",
        "if False:",
        f"{_STATES} -k tried_again",
    ),
    Mutant(
        "a state is let go before the files of items are closed",
        "crawler/node/run/going_on.py",
        "            if self.sink is not None:\n",
        "            if False:\n",
        f"{_RUNS} -k last_items",
    ),
    Mutant(
        "a run that must stop does not end in order",
        "crawler/node/worker/runs.py",
        "greenlet.dead or not run.is_kept:",
        "True:",
        f"{_RUNS} -k ends_in_order",
    ),
    Mutant(
        "a lost lease waits for a run that ends in order",
        "crawler/node/worker/runs.py",
        "        for run in [*self.all(), *self._ending]:\n"
        "            run.break_off()\n"
        "        now_s = self._clock.monotonic()\n"
        "        self._ending = {run: (greenlet, now_s) for run, (greenlet, _) in"
        " self._ending.items()}\n"
        "        gevent.joinall(self._greenlets(), timeout=LEAVE_S)\n"
        "        self._crew.end([run for run, greenlet in self._with_greenlets() if not"
        " greenlet.dead])\n"
        "        _cut_off(self._greenlets())\n",
        "        for run in self.all():\n"
        "            run.break_off()\n"
        "        _end(_begun(self._runs.values()), LEAVE_S)\n",
        f"{_RUNS} -k lost_lease",
    ),
    Mutant(
        "a run that ends in order takes as long as it likes",
        "crawler/node/worker/runs.py",
        "if now_s >= until_s])",
        "if False])",
        f"{_RUNS} -k too_long",
    ),
    Mutant(
        "how a crawl ended is forgotten",
        "crawler/engine/crawl/checkpoints.py",
        "if end is not None and remembers:",
        "if False:",
        f"{_RUNS} -k how_a_crawl_ended",
    ),
    Mutant(
        "a crawl that could not write its items has ended",
        "crawler/engine/crawl/crawl.py",
        "(self._is_idle_at_end or not self.stopped) and not self.can_go_on",
        "True",
        f"{_RUNS} -k could_not_write",
    ),
    Mutant(
        "the files of a crawl that goes on get the names of whole files",
        "crawler/node/run/crawl_run.py",
        "if not self.can_go_on:",
        "if True:",
        f"{_RUNS} -k could_not_write",
    ),
    Mutant(
        "a run with other formats goes on in the files of the one before",
        "crawler/node/run/item_files.py",
        "return (before.folder, before.formats) == (now.folder, now.formats)",
        "return True",
        f"{_RUNS} -k other_formats",
    ),
    Mutant(
        "the totals of a worker count what earlier runs did",
        "crawler/engine/stats/totals.py",
        "earlier = counters.earlier\n",
        "earlier = {}\n",
        "tests/unit/engine/test_checkpoints.py -k totals",
    ),
    Mutant(
        "who asks for a task anew gets the crawl of before",
        "crawler/node/master/assignment.py",
        "        generation=resource.generation + 1,\n        resumes=resource",
        "        resumes=resource",
        f"{_DECISIONS} -k asks_for_a_task_anew",
    ),
    Mutant(
        "who asks again for a task that failed on a full disk gets another crawl",
        "crawler/node/master/assignment.py",
        "resumes=resource.resumes + 1 if may_go_on else 0,",
        "resumes=0,",
        f"{_DECISIONS} -k asks_for_a_task_anew",
    ),
    Mutant(
        "who asks again for a task that failed to its end is told the failure again",
        "crawler/node/run/states.py",
        "        if kept.is_done or not 0 <",
        "        if not 0 <",
        f"{_STATES} -k failed_to_its_end",
    ),
    Mutant(
        "a task fails for good if etcd was put back in time",
        "crawler/node/run/crawl_run.py",
        "self.later_epoch = max(error.last, self.key.epoch + 1)",
        "self.later_epoch = 0",
        "tests/integration/test_going_on_in_redis.py -k back_in_time",
    ),
    Mutant(
        "a worker removes the state of a task that moved away",
        "crawler/node/worker/fates.py",
        "is_elsewhere:\n        return Fate.GOES_ON\n",
        "is_elsewhere:\n        return Fate.DELETED\n",
        "tests/model/test_model.py -k keeps_its_promises",
    ),
    Mutant(
        "the state of a deleted task stays",
        "crawler/node/worker/fates.py",
        "return Fate.SHED if here is None and others else Fate.DELETED",
        "return Fate.GOES_ON",
        "tests/integration/test_processes_going_on.py -k deleted",
    ),
    Mutant(
        "the state of a task whose items found no room is removed when the leader knows",
        "crawler/node/worker/fates.py",
        "here.has_ended and not can_go_on",
        "here.has_ended",
        "tests/integration/test_stopped_runs.py -k found_no_room",
    ),
    Mutant(
        "a run that outlived its lease removes the state of its task",
        "crawler/node/worker/worker.py",
        "for run in runs if run.stops}",
        "for run in runs if False}",
        "tests/integration/test_stopped_runs.py -k next_owner",
    ),
    Mutant(
        "a run with other settings only tells the failure again",
        "crawler/node/run/states.py",
        "return [*resource.failed_on, digest(dict(resource.spec.parameters))]",
        "return [*resource.failed_on]",
        f"{_RUNS} -k other_settings",
    ),
]
