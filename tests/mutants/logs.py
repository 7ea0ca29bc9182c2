"""What the logs of tasks promise: docs/operations.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FILES = "tests/unit/node/test_run_logs.py"
_CLUSTER = "tests/integration/test_task_logs.py"

MUTANTS = [
    Mutant(
        "a log grows without a bound",
        "crawler/node/run/log_files.py",
        "                _drop_oldest(folder, key)\n",
        "",
        f"{_FILES} -k bounded",
    ),
    Mutant(
        "a part of a line is told",
        "crawler/node/run/log_files.py",
        'return data[: data.rfind(b"\\n") + 1]',
        "return data",
        f"{_FILES} -k part_of_a_line",
    ),
    Mutant(
        "old logs stay",
        "crawler/node/run/log_files.py",
        "if changed < until or kept > total_bytes:",
        "if kept > total_bytes:",
        f"{_FILES} -k old_files",
    ),
    Mutant(
        "the last words of a run are lost",
        "crawler/node/run/run_logs.py",
        "self._runs.get(task) or self._ended.get(task)",
        "self._runs.get(task)",
        f"{_FILES} -k alone",
    ),
    Mutant(
        "a process may write into the logs of runs that it does not have",
        "crawler/node/crew/process.py",
        "self._lines.of_log(self._resources.get(number), line)",
        "self._lines.of_log(next(iter(self._resources.values()), None), line)",
        "tests/integration/test_logs_of_processes.py -k own_run",
    ),
    Mutant(
        "who follows a task does not hear of its next worker",
        "crawler/api/task_logs.py",
        "        return self._asked_again(known)",
        "        return known",
        f"{_CLUSTER} -k follows",
    ),
    Mutant(
        "nobody says that a piece is missing",
        "crawler/api/task_logs.py",
        "known.notes += self._gaps(head, shards, pieces, silent)",
        "pass",
        f"{_CLUSTER} -k gone",
    ),
    Mutant(
        "the runs of a task are shown as one",
        "crawler/api/task_logs.py",
        "if each[0].run == self._run}",
        "}",
        f"{_CLUSTER} -k own_log",
    ),
    Mutant(
        "anybody reads the logs of a worker",
        "crawler/api/rpc/access.py",
        'f"{_WORKER}ReadLog": Need.NODES',
        'f"{_WORKER}ReadLog": Need.READ',
        f"{_CLUSTER} -k bounds",
    ),
    Mutant(
        "a log whose file was removed begins anew",
        "crawler/node/run/log_files.py",
        "            begin, size = begin + size, 0\n        left",
        "            begin, size = 0, 0\n        left",
        "tests/unit/node/test_run_logs.py -k its_file_is_removed",
    ),
    Mutant(
        "after a full disk a log goes on where it was",
        "crawler/node/run/log_files.py",
        "        self.forget(key)\n        if size",
        "        if size",
        "tests/unit/node/test_run_logs.py -k takes_a_part",
    ),
    Mutant(
        "who logs what has no text fails",
        "crawler/node/run/run_logs.py",
        "        with suppress(Exception):  # it has no text",
        "        with suppress():  # it has no text",
        "tests/unit/node/test_run_logs.py -k has_no_text",
    ),
    Mutant(
        "an escape brings a secret into a log",
        "crawler/node/run/run_logs.py",
        'return hidden(found) if "\\\\" in text else found',
        "return found",
        "tests/unit/node/test_run_logs.py -k no_escape",
    ),
    Mutant(
        "a page controls the terminal of who reads a log",
        "crawler/logs.py",
        "    return _CONTROLS.sub(",
        "    return re.sub('(?!)', '', text) or _CONTROLS.sub(",
        "tests/unit/test_logs.py -k controls_no_terminal",
    ),
    Mutant(
        "one request follows a log for ever, whatever becomes of its token",
        "crawler/api/task_logs.py",
        "            if now_s - began_s > MOST_FOLLOWED_S:",
        "            if now_s - began_s > 100 * MOST_FOLLOWED_S:",
        "tests/unit/api/test_task_logs.py -k for_an_hour",
    ),
    Mutant(
        "the statistics of a task are those of an earlier one of its name",
        "crawler/api/task_statistics.py",
        '    if found.task_id not in ("", resource.id):',
        '    if found.task_id not in ("", found.task_id):',
        "tests/unit/api/test_task_statistics.py -k another_one",
    ),
    Mutant(
        "what a silent shard had counted is lost",
        "crawler/api/task_statistics.py",
        "        parts = [*self._with_known(parts)]\n",
        "",
        "tests/unit/api/test_task_statistics.py -k gone",
    ),
]
