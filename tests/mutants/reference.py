"""The faults of the design that this project started from (docs/guarantees.md)."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = [
    Mutant(
        "a deposed leader's writes overwrite",
        "crawler/coordination/ledger.py",
        "compares = [fence(leadership), self._mark.unchanged()]\n        compares +=",
        "compares = [self._mark.unchanged()]\n        compares +=",
        "tests/unit/coordination/test_ledger.py",
    ),
    Mutant(
        "a node whose lease died never comes back",
        "crawler/node/membership/membership.py",
        "        while not self._leaving:\n            joined_s",
        "        for _ in range(1):\n            joined_s",
        "tests/integration/test_nodes.py -k lost_its_lease",
    ),
    Mutant(
        "reads may be stale",
        "crawler/coordination/etcd/store.py",
        "key=start, range_end=end, revision=revision, limit=PAGE",
        "key=start, range_end=end, revision=revision, limit=PAGE, serializable=True",
        "tests/contract/test_etcd.py -k one_member",
    ),
    Mutant(
        "a new leader trusts its watch",
        "crawler/node/master/term.py",
        "        mirrors.refresh()\n",
        "",
        "tests/integration/test_nodes.py -k new_leader_reads",
    ),
    Mutant(
        "a broken watch misses events",
        "crawler/coordination/mirror.py",
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
        "crawler/node/master/assignment.py",
        "    return resource.given_to(node",
        '    return resource.replace(id="", creation_time=0).given_to(node',
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "adding a name twice assigns it twice",
        "crawler/node/master/commands.py",
        "        if present is None:\n            heed",
        "        if True:\n            heed",
        "tests/unit/node/test_decisions.py",
    ),
    Mutant(
        "tasks without a worker are dropped",
        "crawler/node/master/placement.py",
        "        if settled != resource:\n            draft.put(settled)",
        "        if node:\n"
        "            draft.put(settled)\n"
        "        else:\n"
        "            draft.delete(resource.name)",
        "tests/integration/test_nodes.py -k wait_for_a_worker",
    ),
    Mutant(
        "deleting does not stop the crawl",
        "crawler/node/worker/reconcile.py",
        "    stop = [name for name, key in running.items() if desired.get(name) != key]",
        "    stop = [n for n, key in running.items() if n in desired and desired[n] != key]",
        "tests/integration/test_nodes.py -k deleting",
    ),
    Mutant(
        "a worker without a lease goes on crawling",
        "crawler/node/worker/worker.py",
        "        self._runs.stop_all()\n        self._changed.set()",
        "        pass",
        "tests/integration/test_nodes.py -k cut_off",
    ),
    Mutant(
        "every worker runs every task",
        "crawler/model/records.py",
        "return owner.node_id == self.id and owner.incarnation in (0, self.incarnation)",
        "return True",
        "tests/unit/node/test_decisions.py tests/integration/test_nodes.py",
    ),
    Mutant(
        "the load counts what is finished",
        "crawler/scheduler/worker_pool.py",
        "        if not holding.state.finished:\n            self._add(candidate, holding, sign)\n",
        "        if True:\n            self._add(candidate, holding, sign)\n",
        "tests/unit/scheduler/test_cluster_state.py",
    ),
]
