"""What a crawl that goes on promises: docs/crawling-on.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_CHECKPOINTS = "tests/unit/engine/test_checkpoints.py"
_CONTRACT = "tests/contract/test_frontier_store.py"
_FILES = "tests/unit/engine/test_sqlite_store.py"

MUTANTS = [
    Mutant(
        "a page is done before its items are on the disk",
        "crawler/engine/crawl/checkpoints.py",
        "            step.state = {**step.state, **self._limits(limits), **self._marked(marks())}\n"
        "            self._kept.store.write(step)\n",
        "            self._kept.store.write(step)\n            marks()\n",
        f"{_CHECKPOINTS} -k items_are_safe",
    ),
    Mutant(
        "what a file has beyond its mark stays there",
        "crawler/engine/items/sinks/files.py",
        "elif size > end and not all_stays:",
        "elif False:",
        "tests/unit/engine/sinks/test_marks.py -k beyond_a_mark",
    ),
    Mutant(
        "a crawl that goes on does not heed the marks of its files",
        "crawler/engine/crawl/checkpoints.py",
        "marks = self._kept.value(MARKS) or {}",
        "marks = {}",
        f"{_CHECKPOINTS} -k killed_anywhere",
    ),
    Mutant(
        "a file has no mark before the first checkpoint",
        "crawler/engine/crawl/crawl.py",
        "        self._checkpoints.opened()\n",
        "",
        f"{_CHECKPOINTS} -k items_are_safe",
    ),
    Mutant(
        "what others append to a file after a stop is cut off",
        "crawler/engine/crawl/checkpoints.py",
        "if self._kept.found.is_clean:",
        "if False:",
        "tests/integration/test_processes_resume.py -k others_appended",
    ),
    Mutant(
        "a callback that is gone costs its requests at once",
        "crawler/engine/engine.py",
        "            look_for_callbacks(kept, spider)\n",
        "            pass\n",
        "tests/integration/test_processes_resume.py -k callback_that_is_gone",
    ),
    Mutant(
        "tasks that have reached a limit are removed as if they were done",
        "crawler/devtools/kept_tasks.py",
        "        if not crawl.is_done:\n",
        "        if False:\n",
        "tests/integration/test_processes_resume.py -k reach_a_limit",
    ),
    Mutant(
        "what a run held when it was killed is never leased again",
        "crawler/engine/frontier/sqlite_requests.py",
        "deque(row.first for row in self._rows)",
        "deque()",
        f"{_CONTRACT} -k free_for_the_next",
    ),
    Mutant(
        "what is given back is never leased again",
        "crawler/engine/frontier/sqlite_journal.py",
        "for id in step.given_back:",
        "for id in ():",
        f"{_CONTRACT} -k given_back",
    ),
    Mutant(
        "start requests that were read are read again",
        "crawler/engine/crawl/checkpoints.py",
        "        if is_known:\n",
        "        if False:\n",
        f"{_CHECKPOINTS} -k start_requests",
    ),
    Mutant(
        "of the start, as many requests are left out as were read, whichever they are",
        "crawler/engine/frontier/journal.py",
        "            if self._known[self._place] in (mark, UNWRITTEN):\n"
        "                self._place += 1\n"
        "                return self._known[self._place - 1] == mark\n",
        "            self._place += 1\n            return True\n",
        f"{_CHECKPOINTS} -k start_requests",
    ),
    Mutant(
        "a checkpoint is made of a page that was broken off",
        "crawler/engine/crawl/crawl.py",
        "self.is_done or self._scraper.is_broken_off or self.counters.fault",
        "self.is_done or self.counters.fault",
        f"{_CHECKPOINTS} -k a_limit_ends",
    ),
    Mutant(
        "a crawl that failed loses its state",
        "crawler/engine/crawl/crawl.py",
        "return self._is_idle_at_end and self.outcome()[0] is State.DONE",
        "return self._is_idle_at_end",
        f"{_CHECKPOINTS} -k start_failed",
    ),
    Mutant(
        "a stop breaks a callback off",
        "crawler/engine/crawl/close_conditions.py",
        "return self.over and not (self.stopped and self.lets_finish and not self.reason)",
        "return self.over",
        f"{_CHECKPOINTS} -k after_a_stop",
    ),
    Mutant(
        "a page that yielded what cannot be written down is done before that is",
        "crawler/engine/frontier/journal.py",
        "            parent.has_ended = True\n",
        "            self._end(job.order)\n",
        f"{_CHECKPOINTS} -k cannot_be_written_down",
    ),
    Mutant(
        "the store knows the URL of a request that it does not have",
        "crawler/engine/frontier/journal.py",
        "        if self.seen.keep_back(mark):\n",
        "        if False:\n",
        f"{_CHECKPOINTS} -k cannot_be_written_down",
    ),
    Mutant(
        "requests whose callbacks are gone are dropped silently",
        "crawler/engine/crawl/resume.py",
        'context.counters.fail(f"callback {missing} is gone", job.url)',
        "pass",
        f"{_CHECKPOINTS} -k gone",
    ),
    Mutant(
        "in a later run, secrets go to the host of its own first request",
        "crawler/engine/crawl/sender.py",
        'self._home = self._home or frozenset(kept["home"])',
        "pass",
        "tests/unit/engine/test_sender.py -k later_run",
    ),
    Mutant(
        "half of a step is kept when the rest fails",
        "crawler/engine/frontier/sqlite_files.py",
        'database.execute("ROLLBACK")',
        'database.execute("COMMIT")',
        f"{_FILES} -k step_that_fails",
    ),
    Mutant(
        "two processes use one folder",
        "crawler/engine/frontier/sqlite_files.py",
        "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA locking_mode = NORMAL",
        f"{_FILES} -k exclude_each_other",
    ),
    Mutant(
        "a run with an epoch that is over writes",
        "crawler/engine/frontier/sqlite_journal.py",
        "if epoch is not None and epoch <= last:",
        "if False:",
        f"{_CONTRACT} -k epoch",
    ),
    Mutant(
        "bytes that a disk has changed are read as if they were right",
        "crawler/engine/frontier/sealed.py",
        "if not isinstance(blob, bytes) or blob[: _SUM.size] != _sum(data, place):",
        "if False:",
        f"{_FILES} -k whatever_byte",
    ),
    Mutant(
        "a row that is missing is not missed",
        "crawler/engine/frontier/sqlite_journal.py",
        'if values and _text(values, "rows", "") != self._sizes():',
        "if False:",
        f"{_FILES} -k that_is_missing",
    ),
    Mutant(
        "a damaged store is overwritten",
        "crawler/engine/frontier/sqlite_files.py",
        '        os.replace(path, path.with_name(f"{path.name}.damaged-{number}"))\n',
        "        path.unlink()\n",
        f"{_FILES} -k whatever_byte",
    ),
    Mutant(
        "URLs are forgotten that are younger than the file of the seen set",
        "crawler/engine/frontier/sqlite_journal.py",
        "UPDATE step SET marks = NULL WHERE number <= ?",
        "UPDATE step SET marks = NULL WHERE ? > 0",
        f"{_CONTRACT} -k folded",
    ),
    Mutant(
        "rows of which little is left stay as large as they were",
        "crawler/engine/frontier/sqlite_requests.py",
        "if row.is_sparse:",
        "if False:",
        f"{_FILES} -k little_is_left",
    ),
]
