"""What masters and workers rest on."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "old epochs are accepted",
        "crawler/node/requests.py",
        "(resource.id, resource.epoch) != (report.id, report.epoch)",
        "resource.id != report.id",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "a restarted worker is taken for the one before",
        "crawler/records.py",
        "owner.node_id == self.id and owner.incarnation in (0, self.incarnation)",
        "owner.node_id == self.id",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "a master answers without its lease",
        "crawler/node/master.py",
        " or not session.lease.remaining_s",
        "",
        "tests/integration/test_trouble.py -k without_its_lease",
    ),
    Mutant(
        "a leader never asks whether it leads",
        "crawler/node/term.py",
        "            self._election.confirm(self._leadership)",
        "            pass",
        "tests/integration/test_trouble.py -k asks_from_time",
    ),
    Mutant(
        "requests of callers that have gone are acted upon",
        "crawler/node/tickets.py",
        "            if ticket.deadline_s <= now_s:",
        "            if False:",
        "tests/integration/test_trouble.py -k caller_has_gone",
    ),
    Mutant(
        "a report is taken as told though what made it out of date failed",
        "crawler/node/requests.py",
        "        return self.subjects\n",
        "        return ()\n",
        "tests/integration/test_fencing.py -k made_out_of_date",
    ),
    Mutant(
        "a rejection is told though what it rests on failed",
        "crawler/node/tickets.py",
        "            self.names, self.rejection = self.request.subjects, error",
        "            self.names, self.rejection = (), error",
        "tests/integration/test_fencing.py -k rests_on",
    ),
    Mutant(
        "a dead worker is noted again and again",
        "crawler/node/term.py",
        "            self._buried.update(news)",
        "            pass",
        "tests/integration/test_fencing.py -k noted_once",
    ),
    Mutant(
        "a life that another program made up is declared dead",
        "crawler/node/placement.py",
        "0 < life.revision < task.mod_revision",
        "0 < life.revision",
        "tests/unit/node/test_decisions.py -k declared_dead",
    ),
    Mutant(
        "after a lost answer nothing is read",
        "crawler/node/term.py",
        "            try:\n                self._cluster.refresh()\n            except Retryable:",
        "            try:\n                pass\n            except Retryable:",
        "tests/integration/test_trouble.py -k read_anew",
    ),
    Mutant(
        "a leader waits for the watch to know its own writes",
        "crawler/node/cluster.py",
        "        self.resources.apply(key, outcome.current, revision)",
        "        pass",
        "tests/integration/test_trouble.py -k own_writes",
    ),
    Mutant(
        "a new leader reads at two revisions",
        "crawler/node/cluster.py",
        "        self.workers.refresh(revision)\n",
        "        self.workers.refresh()\n",
        "tests/integration/test_trouble.py -k one_revision",
    ),
    Mutant(
        "runs are started without a lease",
        "crawler/node/worker.py",
        "if self._session is not None and free:",
        "if free:",
        "tests/integration/test_trouble.py -k nothing_is_started",
    ),
    Mutant(
        "a refused report is never made again",
        "crawler/node/worker.py",
        "            if run is not None and run.name not in refused:\n",
        "            if run is not None:\n",
        "tests/integration/test_trouble.py -k made_again",
    ),
    Mutant(
        "a lease of the past is left to expire",
        "crawler/node/session.py",
        "                self._revoke_left_over()\n",
        "",
        "tests/integration/test_processes_outage.py tests/integration/test_trouble.py",
    ),
    Mutant(
        "a new leader spares nobody",
        "crawler/node/term.py",
        "            self._clock.monotonic() + self._lease.ttl_s,",
        "            self._clock.monotonic(),",
        "tests/integration/test_fencing.py -k one_ttl",
    ),
    Mutant(
        "tasks of the dead move without a note",
        "crawler/node/term.py",
        "            self._ledger.bury(self._leadership, dead)",
        "            pass",
        "tests/integration/test_fencing.py -k noted_before",
    ),
    Mutant(
        "an older assignment is taken on",
        "crawler/node/epochs.py",
        "0 < resource.epoch < epoch",
        "False",
        "tests/integration/test_fencing.py -k put_right",
    ),
    Mutant(
        "a refused assignment is told to nobody",
        "crawler/node/worker.py",
        "        news += [(None, protest) for protest in self._epochs.protests()]\n",
        "",
        "tests/integration/test_fencing.py -k nothing_of_it_runs",
    ),
    Mutant(
        "an epoch begins anew when another program drops it",
        "crawler/node/placement.py",
        "(resource.epoch or resource.mod_revision) + 1",
        "resource.epoch + 1",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "refused reports are not counted",
        "crawler/node/desk.py",
        "        self._on_refused(len(refused))\n",
        "",
        "tests/integration/test_fencing.py -k are_counted",
    ),
    Mutant(
        "an unchanged task is answered for from memory",
        "crawler/node/requests.py",
        "        else:\n"
        "            draft.keep(self.spec.name)\n"
        "        return [self.spec.name]\n"
        "\n"
        "\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Update",
        "        return [self.spec.name]\n\n\n@dataclass(frozen=True, slots=True)\nclass Update",
        "tests/integration/test_fencing.py -k from_memory",
    ),
    Mutant(
        "a worker that leaves gets new tasks",
        "crawler/scheduler/census.py",
        "return not node.draining and node.id not in self._cordoned",
        "return node.id not in self._cordoned",
        "tests/integration/test_fencing.py -k no_new_tasks",
    ),
    Mutant(
        "a worker that leaves keeps its last word",
        "crawler/node/worker.py",
        "        self._report(LAST_WORD_S)\n",
        "",
        "tests/integration/test_fencing.py -k tells_how",
    ),
    Mutant(
        "a second signal changes nothing",
        "crawler/node/worker.py",
        "        self._runs.cut_off()",
        "        pass",
        "tests/integration/test_fencing.py -k hurries",
    ),
    Mutant(
        "seeds are tried once",
        "crawler/node/term.py",
        "        for spec in self._seeds:\n",
        "        for spec, self._seeds in [(spec, ()) for spec in self._seeds]:\n",
        "tests/integration/test_fencing.py -k stored_later",
    ),
    Mutant(
        "a leader that is stopped answers nobody",
        "crawler/node/master.py",
        "            term.finish()\n            campaigner.join(patience_s)",
        "            pass",
        "tests/integration/test_fencing.py -k leaves_answers",
    ),
    Mutant(
        "a worker looks at its registration too late",
        "crawler/node/session.py",
        "self._ttl_s / 3)",
        "self._ttl_s * 0.8)",
        "tests/integration/test_fencing.py -k finds_itself",
    ),
    Mutant(
        "a worker whose watch has died stays a member",
        "crawler/node/session.py",
        "on_fatal=partial(_end_with, lease), ",
        "",
        "tests/integration/test_defects.py -k cannot_hear",
    ),
    Mutant(
        "one part's defect keeps the rest of a node alive",
        "crawler/node/node.py",
        "                except Exception:  # one part's defect must not keep the others alive\n",
        "                except ZeroDivisionError:\n",
        "tests/integration/test_defects.py -k stopping_of_a_role",
    ),
]
