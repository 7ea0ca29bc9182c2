"""What rests on the crawl processes of a worker: who is blamed, and that none outlives its time."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_CREW = "crawler/node/crew"
_DEATHS = "tests/unit/node/test_crew_deaths.py"
_REAL = "tests/integration/test_processes_crew.py"
_STARTS = "tests/integration/test_processes_crew_starts.py"

MUTANTS = [
    Mutant(
        "the task of a callback is not charged for its crash",
        f"{_CREW}/deaths.py",
        "        if seen.is_sure and seen.slot in runs:\n",
        "        if False:\n",
        f"{_DEATHS} -k charged_and_nobody_else",
    ),
    Mutant(
        "a callback that waits is charged for what others do",
        f"{_CREW}/page.py",
        "return bool(self.slot) and self.turned_s <= self.since_s",
        "return bool(self.slot)",
        f"{_DEATHS} tests/unit/node/test_crew_page.py -k has_waited or is_sure",
    ),
    Mutant(
        "whoever was running is charged when the kernel kills its process",
        f"{_CREW}/deaths.py",
        "_FROM_OUTSIDE = (-signal.SIGKILL, None)",
        "_FROM_OUTSIDE = (None,)",
        f"{_DEATHS} -k from_outside",
    ),
    Mutant(
        "whoever was running is charged when the zygote dies",
        f"{_CREW}/deaths.py",
        "_FROM_OUTSIDE = (-signal.SIGKILL, None)",
        "_FROM_OUTSIDE = (-signal.SIGKILL,)",
        f"{_DEATHS} -k from_outside",
    ),
    Mutant(
        "nobody is suspected of a crash in no callback",
        f"{_CREW}/deaths.py",
        "        self._suspect(runs)\n        return Verdict(",
        "        return Verdict(",
        f"{_DEATHS} -k makes_all_suspects",
    ),
    Mutant(
        "all suspects stay in one process",
        f"{_CREW}/deaths.py",
        "for _ in range(GROUPS)]",
        "for _ in range(1)]",
        f"{_DEATHS} -k makes_all_suspects or convict",
    ),
    Mutant(
        "a callback that waits for the network is killed as one that computes",
        f"{_CREW}/deaths.py",
        "now_s, doing = self._clock.monotonic(), (seen.call, seen.turned_s)",
        "now_s, doing = self._clock.monotonic(), (seen.call, 0.0)",
        f"{_DEATHS} -k lets_the_hub_turn",
    ),
    Mutant(
        "a worker that stood still blames callbacks for that time",
        f"{_CREW}/deaths.py",
        "min(now_s - before.at_s, STEP_S)",
        "now_s - before.at_s",
        f"{_DEATHS} -k did_not_see",
    ),
    Mutant(
        "the runs of a process that is gone wait for ever",
        f"{_CREW}/processes.py",
        "            run.interrupt(verdict.reason, charged=number == verdict.charged)\n",
        "",
        f"{_REAL} -k killed_go_on_at_once",
    ),
    Mutant(
        "all runs of a process are charged for one",
        f"{_CREW}/processes.py",
        "charged=number == verdict.charged)",
        "charged=bool(verdict.charged))",
        f"{_REAL} -k the_other_is_not",
    ),
    Mutant(
        "a message of an older run of a task ends the one that runs now",
        f"{_CREW}/processes.py",
        "        run = process.runs.pop(number, None)\n",
        "        run = process.runs.pop(max(process.runs, default=number), None)\n",
        f"{_REAL} -k hears_of_another",
    ),
    Mutant(
        "what a dead process has counted is forgotten",
        f"{_CREW}/processes.py",
        "        self._past.add_totals(process.totals)\n",
        "",
        f"{_REAL} -k never_go_back",
    ),
    Mutant(
        "the hosts of a dead process wait for the end of a lease",
        f"{_CREW}/processes.py",
        "        self._hosts.gone(process.number)\n",
        "",
        f"{_REAL} -k no_lease_of_its_hosts",
    ),
    Mutant(
        "a run that never yields outlives the end of all",
        f"{_CREW}/processes.py",
        '.kill(f"the run of task {run.name} did not end")',
        ".glance()",
        f"{_REAL} -k never_yields",
    ),
    Mutant(
        "a process that is being emptied may take all the memory",
        f"{_CREW}/processes.py",
        "                elif process.greeted.is_set():\n",
        "                elif process.is_serving:\n",
        f"{_REAL} -k takes_all_the_memory",
    ),
    Mutant(
        "a run that is stopped while its process begins leaves that process",
        f"{_CREW}/processes.py",
        "                if self._team(process).is_left_over(process):\n",
        "                if False:\n",
        f"{_STARTS} -k leaves_no_process",
    ),
    Mutant(
        "all tasks go to the process that survives",
        f"{_CREW}/dealing.py",
        "        if len(chosen.runs) >= share and",
        "        if False and",
        f"{_STARTS} -k are_divided",
    ),
    Mutant(
        "a page is lost where the memory is full, and the process goes on",
        f"{_CREW}/crawl_process.py",
        "        if isinstance(error, MemoryError):\n",
        "        if False:\n",
        f"{_REAL} -k the_other_is_not",
    ),
    Mutant(
        "what a spider has started outlives its process",
        f"{_CREW}/zygote.py",
        "            os.killpg(pid, signal.SIGKILL)  #",
        "            pass  #",
        f"{_REAL} -k has_started",
    ),
    Mutant(
        "a crawl process has the files of its zygote",
        f"{_CREW}/zygote.py",
        "    os.dup2(nothing, 0)\n",
        "",
        f"{_REAL} -k no_file_of_another",
    ),
    Mutant(
        "a death is not noticed while a child of the process lives",
        f"{_CREW}/process.py",
        "        self._channel.hear_out()\n",
        "",
        "tests/unit/node/test_crew_process.py -k can_still_be_asked",
    ),
    Mutant(
        "a worker gives up a process that computes because it does not read",
        f"{_CREW}/process.py",
        "        if self.glance().is_sure:\n            return False\n",
        "",
        "tests/unit/node/test_crew_process.py -k does_not_read",
    ),
    Mutant(
        "a process sends nothing more once its worker has stood still",
        f"{_CREW}/channel.py",
        "                if self.give_up():\n                    return False\n",
        "                return False\n",
        "tests/unit/node/test_crew_channel.py -k as_long_as_it_takes",
    ),
    Mutant(
        "a worker never forgets a host",
        "crawler/engine/politeness/host_register.py",
        "                del self._entries[host]\n",
        "                pass\n",
        "tests/unit/node/test_crew_hosts.py -k forgotten or leave_nothing",
    ),
    Mutant(
        "a host is forgotten while its pause lasts",
        "crawler/engine/politeness/host_register.py",
        "return now_s >= max(entry.free_s, entry.told_s + entry.keep_s)",
        "return True",
        "tests/unit/node/test_crew_hosts.py -k not_forgotten",
    ),
    Mutant(
        "a guard kills nobody when the worker stands still",
        "crawler/node/guard/duty.py",
        "        if deadline_s and self._now() >= deadline_s + self._grace_s:\n",
        "        if False:\n",
        "tests/integration/test_processes_crew_worker.py -k stands_still",
    ),
    Mutant(
        "the guard never hears of crawl processes",
        f"{_CREW}/starter.py",
        "        self._guard.watch(process.number, process.born.pidfd, process.born.pid)\n",
        "",
        "tests/integration/test_processes_crew_worker.py -k stands_still",
    ),
    Mutant(
        "crawl processes outlive a worker that is killed",
        f"{_CREW}/child.py",
        "    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)\n",
        "",
        "tests/integration/test_processes_crew_worker.py -k worker_that_is_killed",
    ),
    Mutant(
        "a process whose output nobody takes stands still",
        f"{_CREW}/output.py",
        "    with contextlib.suppress(OSError, ValueError):\n        sys.stderr.write(text)\n"
        "        sys.stderr.flush()\n",
        "    sys.stderr.write(text)\n    sys.stderr.flush()\n",
        "tests/integration/test_processes_crew.py -k nobody_takes",
    ),
    Mutant(
        "programs that spiders start do not hear SIGTERM",
        f"{_CREW}/child.py",
        "signal.signal(number, lambda *_: None)",
        "signal.signal(number, signal.SIG_IGN)",
        "tests/integration/test_processes_crew.py -k hears_its_signals",
    ),
]
