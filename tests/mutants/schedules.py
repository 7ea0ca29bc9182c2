"""What lets a schedule fire each moment once, and at the right time."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_DUE = "crawler/schedules/due.py"
_TIMES = "crawler/schedules/timetable.py"
_BEGIN = "crawler/node/master/begin.py"
_UNIT = "tests/unit/schedules/test_due.py"
_TABLE = "tests/unit/schedules/test_timetable.py"
_CLUSTER = "tests/integration/test_schedules.py"

MUTANTS = [
    Mutant(
        "a moment that was decided fires again",
        _DUE,
        "return found_ns if found_ns is not None and found_ns > schedule.decided_ns else None",
        "return found_ns",
        f"{_UNIT} -k begins_the_task_once",
    ),
    Mutant(
        "a clock that goes back takes decisions back",
        _DUE,
        "found_ns > schedule.decided_ns else None",
        "found_ns != schedule.decided_ns else None",
        f"{_UNIT} -k goes_back",
    ),
    Mutant(
        "what was missed fires however late",
        _DUE,
        "    return late_ns > max(schedule.wish.catch_up_s, ON_TIME_S) * SECOND_NS",
        "    return False",
        f"{_UNIT} -k caught_up",
    ),
    Mutant(
        "a change of the leader loses what fires on time alone",
        _DUE,
        "max(schedule.wish.catch_up_s, ON_TIME_S)",
        "schedule.wish.catch_up_s",
        f"{_UNIT} -k caught_up",
    ),
    Mutant(
        "a time that comes twice fires twice",
        _TIMES,
        "            if found_ns > time_ns:",
        "            if found_ns != time_ns:",
        f"{_TABLE} -k second_time",
    ),
    Mutant(
        "the last moment is looked for backwards when the clocks have just changed",
        _TIMES,
        "        if now.utcoffset() == before.utcoffset():",
        "        if True:",
        f"{_TABLE} -k second_time",
    ),
    Mutant(
        "a task begins again when its firing is carried out again",
        _BEGIN,
        "        if mark_of(present) != self.before:",
        "        if False:",
        "tests/model/test_model.py -k lost_in_the_middle",
    ),
    Mutant(
        "a schedule begins the task of others",
        _BEGIN,
        "        if present.spec.labels != self.spec.labels:",
        "        if False:",
        f"{_CLUSTER} -k may_be_of_others",
    ),
    Mutant(
        "a schedule goes on with the crawl before, if that failed",
        _BEGIN,
        ".replace(resumes=0, awaits_spider=True, run=run)",
        ".replace(awaits_spider=True, run=run)",
        "tests/unit/node/test_begin.py -k from_the_beginning",
    ),
    Mutant(
        "a firing that was dropped begins its task all the same",
        _BEGIN,
        "        if not self.stands():",
        "        if False:",
        "tests/unit/node/test_begin.py -k dropped_meanwhile",
    ),
    Mutant(
        "a firing that is stored waits for the next moment",
        _DUE,
        "    if schedule.firing is not None:\n        return now_ns",
        "    if False:\n        return now_ns",
        f"{_UNIT} -k comes_before_all_else",
    ),
    Mutant(
        "a bounded caller sees the schedules of others",
        "crawler/api/bounded.py",
        "        if not self._caller.owns(found.schedule.wish.task.labels):",
        "        if False:",
        "tests/unit/api/test_bounded.py -k schedules",
    ),
    Mutant(
        "a bounded caller schedules the tasks of others",
        "crawler/api/bounded.py",
        "        if self._is_of_others(name, call):",
        "        if False:",
        "tests/unit/api/test_bounded.py -k schedules",
    ),
]
