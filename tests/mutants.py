"""Puts known faults back into the code, one at a time: for each, a test must fail.

    python -m tests.mutants [NAME …]

Each mutant is a copy of the project with one change. The first ones are the faults of the reference
design (docs/guarantees.md); the others take out what our own promises rest on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = (".git", ".venv", "items", "*.egg-info", "__pycache__", ".mypy_cache", ".hypothesis")


@dataclass(frozen=True)
class Mutant:
    """A fault, and the tests one of which must find it."""

    name: str
    file: str
    before: str
    after: str
    tests: str


MUTANTS = [
    Mutant(
        "a deposed leader's writes overwrite",
        "crawler/coordination/ledger.py",
        "compares = [created_at(leadership.key, leadership.revision)]",
        "compares = []",
        "tests/unit/coordination/test_ledger.py",
    ),
    Mutant(
        "a node whose lease died never comes back",
        "crawler/node/session.py",
        "        while True:\n            session = self._join(role)",
        "        for _ in range(1):\n            session = self._join(role)",
        "tests/integration/test_nodes.py -k lost_its_lease",
    ),
    Mutant(
        "reads may be stale",
        "crawler/coordination/etcd.py",
        "key=start, range_end=end, revision=revision, limit=PAGE",
        "key=start, range_end=end, revision=revision, limit=PAGE, serializable=True",
        "tests/contract/test_etcd.py -k one_member",
    ),
    Mutant(
        "a new leader trusts its watch",
        "crawler/node/term.py",
        "        self._cluster.refresh()\n        self._ids",
        "        self._ids",
        "tests/integration/test_nodes.py -k new_leader_reads",
    ),
    Mutant(
        "a broken watch misses events",
        "crawler/coordination/watch.py",
        "self._store.watch(self._prefix, self._revision + 1)",
        "self._store.watch(self._prefix, self._store.range(self._prefix).revision + 1)",
        "tests/unit/coordination/test_mirror.py",
    ),
    Mutant(
        "the leader's address is split at the last dash",
        "crawler/coordination/election.py",
        'value.partition("-")',
        'value.rpartition("-")',
        "tests/unit/coordination/test_election.py -k address",
    ),
    Mutant(
        "every master mints ids with number 1",
        "crawler/coordination/registry.py",
        "free = next((n for n in range(MAX_NODE + 1) if n not in numbers), None)",
        "free = 1",
        "tests/unit/coordination/test_registry.py",
    ),
    Mutant(
        "a clock that goes back repeats ids",
        "crawler/coordination/snowflake.py",
        "if now > self._timestamp:",
        "if now != self._timestamp:",
        "tests/unit/coordination/test_snowflake.py",
    ),
    Mutant(
        "reassigning mints a new id",
        "crawler/node/placement.py",
        "        epoch=resource.epoch + 1,",
        '        id="",\n        creation_time=0,\n        epoch=resource.epoch + 1,',
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "adding a name twice assigns it twice",
        "crawler/node/requests.py",
        "        if present is None:\n            draft.put(Resource(self.spec))",
        "        if True:\n            draft.put(Resource(self.spec))",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "tasks without a worker are dropped",
        "crawler/node/placement.py",
        "        if settled != resource:\n            draft.put(settled)",
        "        if node:\n            draft.put(settled)\n        else:\n"
        "            draft.delete(resource.name)",
        "tests/integration/test_nodes.py -k wait_for_a_worker",
    ),
    Mutant(
        "deleting does not stop the crawl",
        "crawler/node/reconcile.py",
        "    stop = [name for name, key in running.items() if desired.get(name) != key]",
        "    stop = [n for n, key in running.items() if n in desired and desired[n] != key]",
        "tests/integration/test_nodes.py -k deleting",
    ),
    Mutant(
        "a worker without a lease goes on crawling",
        "crawler/node/worker.py",
        "        self._runs.stop_all()",
        "        pass",
        "tests/integration/test_nodes.py -k cut_off",
    ),
    Mutant(
        "every worker runs every task",
        "crawler/records.py",
        "return owner.node_id == self.id and owner.incarnation in (0, self.incarnation)",
        "return True",
        "tests/unit/node/test_decisions.py tests/integration/test_nodes.py",
    ),
    Mutant(
        "the load counts what is finished",
        "crawler/scheduler/snapshot.py",
        "unfinished[owner.node_id] += not resource.state.finished",
        "unfinished[owner.node_id] += 1",
        "tests/unit/scheduler/test_cycle.py",
    ),
    Mutant(
        "a lease ends by etcd's clock only",
        "crawler/coordination/lease.py",
        "        return sent_s + self.ttl_s * (1.0 - MARGIN)",
        "        return sent_s + self.ttl_s * 2",
        "tests/unit/coordination/test_lease.py",
    ),
    Mutant(
        "old epochs are accepted",
        "crawler/node/requests.py",
        "(resource.id, resource.epoch) != (report.id, report.epoch)",
        "resource.id != report.id",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "a change based on an old value overwrites",
        "crawler/coordination/ledger.py",
        "        compares += [unchanged(self._keys.resource(c.name), c.based_on) for c in batch]\n",
        "",
        "tests/unit/coordination/test_ledger.py",
    ),
    Mutant(
        "a write without an answer counts as done",
        "crawler/coordination/ledger.py",
        "Outcome(change.name, _is_written(write, kv, change), kv, result.revision)",
        "Outcome(change.name, True, kv, result.revision)",
        "tests/unit/coordination/test_ledger.py",
    ),
    Mutant(
        "a restarted worker is taken for the one before",
        "crawler/records.py",
        "owner.node_id == self.id and owner.incarnation in (0, self.incarnation)",
        "owner.node_id == self.id",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "a lease counts from the answer of a renewal",
        "crawler/coordination/lease.py",
        "                self._deadline_s = self._deadline_after(sent_s)",
        "                self._deadline_s = self._deadline_after(self._clock.monotonic())",
        "tests/unit/coordination/test_lease.py",
    ),
    Mutant(
        "a watch takes the store's revision for what it has seen",
        "crawler/coordination/etcd_watch.py",
        "                    yield wire.batch(answer.events)",
        "                    yield Batch(wire.batch(answer.events).events, answer.header.revision)",
        "tests/contract/test_store.py -k long_history",
    ),
    Mutant(
        "old news raises the dead",
        "crawler/coordination/watch.py",
        "if revision > self._listed_at else None",
        "",
        "tests/unit/coordination/test_mirror.py",
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
        "crawler/node/term.py",
        "            if ticket.deadline_s <= now_s:",
        "            if False:",
        "tests/integration/test_trouble.py -k caller_has_gone",
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
        "self.workers.refresh(self.resources.refresh())",
        "(self.workers.refresh(), self.resources.refresh())",
        "tests/integration/test_trouble.py -k one_revision",
    ),
    Mutant(
        "runs are started without a lease",
        "crawler/node/worker.py",
        "if self._session is not None and name not in",
        "if name not in",
        "tests/integration/test_trouble.py -k nothing_is_started",
    ),
    Mutant(
        "a refused report is never made again",
        "crawler/node/worker.py",
        "            if run.name not in refused:\n",
        "            if True:\n",
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
        "a watch that hears nothing counts as alive",
        "crawler/coordination/etcd_watch.py",
        "gevent.Timeout(self._silence_s, Stuck)",
        "gevent.Timeout(None)",
        "tests/contract/test_etcd_watch.py -k frozen",
    ),
    Mutant(
        "an idle watch asks for no sign of life",
        "crawler/coordination/etcd_watch.py",
        "            if not self._busy:",
        "            if self._busy:",
        "tests/contract/test_etcd_watch.py -k as_long_as",
    ),
    Mutant(
        "a frozen member is asked again and again",
        "crawler/coordination/etcd_client.py",
        "        self._turn += 1",
        "        self._turn += 0",
        "tests/contract/test_etcd_cluster.py -k not_missed",
    ),
    Mutant(
        "a token that has aged costs the call",
        "crawler/coordination/etcd_client.py",
        "                self.forget(metadata)",
        "                pass",
        "tests/contract/test_etcd_users.py -k carried_out_once",
    ),
    Mutant(
        "a full etcd is taken for a busy one",
        "crawler/coordination/etcd_failures.py",
        "return StoreFull(_FULL, FULL_RETRY_S)",
        "return None",
        "tests/contract/test_etcd_full.py -k says_so",
    ),
    Mutant(
        "renewals past the hub trust any authority",
        "crawler/coordination/renewer.py",
        "        self._curl.setopt(pycurl.CAINFO_BLOB, tls.ca)",
        "        self._curl.setopt(pycurl.SSL_VERIFYPEER, 0)",
        "tests/contract/test_etcd_renewer.py -k certificates",
    ),
]


def found(mutant: Mutant) -> bool:
    """Whether a test fails on the mutant. Exits when it cannot be made."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder, "project")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        file = copy / mutant.file
        text = file.read_text()
        if text.count(mutant.before) != 1:
            sys.exit(f"{mutant.name}: {mutant.file} does not hold its text once; mend the mutant")
        file.write_text(text.replace(mutant.before, mutant.after))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        # Status 1 is a failed test; any other means that none was run.
        return (
            subprocess.run(
                [*command, *_split(mutant.tests)],
                cwd=copy,
                timeout=300,
                capture_output=True,
                check=False,
            ).returncode
            == 1
        )


def _split(tests: str) -> list[str]:
    files, _, expression = tests.partition(" -k ")
    return files.split() + (["-k", expression] if expression else [])


def main(wanted: list[str]) -> int:
    """Try the mutants of these names, or all; the number of those that no test found."""
    missed = 0
    for mutant in MUTANTS:
        if wanted and mutant.name not in wanted:
            continue
        is_found = found(mutant)
        missed += not is_found
        print(f"{'found ' if is_found else 'MISSED'}  {mutant.name}", flush=True)
    print(f"{missed} missed")
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
