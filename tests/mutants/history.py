"""What keeps each event of the history once, and a database that is away from costing a task."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_KEPT = "crawler/history/kept.py"
_EVENTS = "crawler/history/events.py"
_FOUND = "crawler/history/found.py"
_TOLD = "tests/unit/history/test_events.py"
_STORE = "crawler/history/store.py"
_CONTRACT = "tests/contract/test_history.py"
_UNIT = "tests/unit/history/test_kept.py"

MUTANTS = [
    Mutant(
        "statistics are dropped before they are written",
        _KEPT,
        "        self._write(partial(store.write_statistics, told, self._clock.time_ns()))\n"
        "        for _ in told:\n"
        "            self._statistics.popleft()",
        "        for _ in told:\n"
        "            self._statistics.popleft()\n"
        "        self._write(partial(store.write_statistics, told, self._clock.time_ns()))",
        f"{_UNIT} -k not_take_at_once",
    ),
    Mutant(
        "a run that was stopped tells no statistics",
        "crawler/node/worker/runs.py",
        "        finally:\n            self._on_over(run)",
        "        finally:\n            self._on_over(run) if run.ended else None",
        "tests/unit/node/test_runs.py -k told_with_its_statistics",
    ),
    Mutant(
        "what was written is dropped before it is written",
        _KEPT,
        "        self._write(partial(store.write, taken, self._is_behind))\n"
        "        for _ in taken:\n"
        "            self._waiting.popleft()",
        "        for _ in taken:\n"
        "            self._waiting.popleft()\n"
        "        self._write(partial(store.write, taken, self._is_behind))",
        f"{_UNIT} -k not_take_at_once",
    ),
    Mutant(
        "lost changes are not looked for",
        _KEPT,
        "            self._on_lost(len(changes) - room)\n            self._is_behind = True",
        "            self._on_lost(len(changes) - room)",
        f"{_UNIT} -k does_not_fit",
    ),
    Mutant(
        "a leader that lost changes moves the mark",
        _STORE,
        "self._database.write(events, 0 if is_behind else revision)",
        "self._database.write(events, revision)",
        f"{_CONTRACT} -k does_not_move_the_mark",
    ),
    Mutant(
        "a leader that is behind ends the runs of a later one",
        _STORE,
        "        if self._database.mark() <= revision:\n            events",
        "        if True:\n            events",
        f"{_CONTRACT} -k older_than_the_database",
    ),
    Mutant(
        "a resource of an earlier run ends a later one",
        _FOUND,
        "    return mine < present or",
        "    return mine != present or",
        f"{_CONTRACT} -k older_than_the_database",
    ),
    Mutant(
        "a bounded caller sees the runs of all",
        "crawler/api/bounded.py",
        "self._backend.runs(replace(query, labels=self._caller.labels), call)",
        "self._backend.runs(query, call)",
        "tests/unit/api/test_history.py -k bounded",
    ),
    Mutant(
        "a pause of a task that runs looks like a move",
        _EVENTS,
        "    if after.paused:\n        return _over(before, RunState.PAUSED",
        "    if False:\n        return _over(before, RunState.PAUSED",
        f"{_TOLD} -k is_paused",
    ),
    Mutant(
        "each change of a stopped task tells of its stop once more",
        _EVENTS,
        " or before.stopped)",
        ")",
        f"{_TOLD} -k is_stopped",
    ),
    Mutant(
        "a history does not know the schedule that began a run",
        "crawler/node/master/command_queue.py",
        "who = call.caller.name if call.caller else call.cause",
        'who = call.caller.name if call.caller else ""',
        "tests/integration/test_history.py -k schedule",
    ),
    Mutant(
        "a change that the watch knew first is not told",
        "crawler/node/master/telling.py",
        "before = [base(outcome.name) for outcome in landed.outcomes]",
        "before = [find(outcome.name) for outcome in landed.outcomes]",
        "tests/integration/test_history.py -k watch_knows",
    ),
    Mutant(
        "what nobody could tell is looked for before it can be read",
        "crawler/node/master/writer.py",
        "            self._ctx.history.doubt()  # it looks at what was just read\n",
        "",
        "tests/integration/test_history.py -k nobody_could_tell",
    ),
    Mutant(
        "the end of a run is forgotten before its beginning",
        "crawler/history/database.py",
        "is_of_run = step.in_([int(Step.PLACED), int(Step.BEGUN), int(Step.ENDED)])",
        "is_of_run = step.in_([int(Step.ENDED)])",
        f"{_CONTRACT} -k looks_unfinished",
    ),
    Mutant(
        "what a later leader found stays though the earlier one tells what happened",
        "crawler/history/database.py",
        "set_=values, where=knows_more & ~new.late",
        "set_=values, where=sa.false()",
        f"{_CONTRACT} -k counts_more",
    ),
    Mutant(
        "what a later leader found replaces what happened",
        "crawler/history/database.py",
        "set_=values, where=knows_more & ~new.late",
        "set_=values",
        f"{_CONTRACT} -k counts_more",
    ),
    Mutant(
        "a label that a database refuses hides the runs of others",
        "crawler/history/tables.py",
        "if are_sound({key: value})}",
        "}",
        f"{_CONTRACT} -k hides_no_other",
    ),
    Mutant(
        "a task that another program wrote is told as deleted",
        _EVENTS,
        "return resource if resource is not None and resource.id else None",
        "return resource",
        f"{_TOLD} -k another_program",
    ),
    Mutant(
        "a resume is not told",
        _EVENTS,
        "        yield from goes_on(before, seen.now_ns, seen.who)",
        "        pass",
        f"{_TOLD} -k is_paused",
    ),
    Mutant(
        "a run that went on looks like a first one if few events are shown",
        _STORE,
        "event.epoch > first.get(crawl, event.epoch)",
        "False",
        f"{_CONTRACT} -k goes_on_elsewhere",
    ),
    Mutant(
        "two clusters write into one history",
        "crawler/history/database.py",
        "            if others:\n",
        "            if False:\n",
        f"{_CONTRACT} -k one_cluster",
    ),
]
