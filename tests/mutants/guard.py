"""What the guard of a node rests on."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

DUTY = "tests/unit/node/test_guard_duty.py"
GUARD = "tests/unit/node/test_guard.py"

MUTANTS = [
    Mutant(
        "a guard revokes the lease of a dead node before it has killed",
        "crawler/node/guard/duty.py",
        "        killed = self.kill_all()\n        wait(killed, GONE_S)\n",
        "        error = revoke(self.lease)\n"
        "        killed = self.kill_all()\n        wait(killed, GONE_S)\n",
        DUTY,
    ),
    Mutant(
        "a guard revokes before the killed are gone",
        "crawler/node/guard/duty.py",
        "        wait(killed, GONE_S)\n",
        "",
        DUTY,
    ),
    Mutant(
        "a guard does not look at the deadline",
        "crawler/node/guard/process.py",
        "            self._close(self._duty.look(),",
        "            self._close((),",
        f"{GUARD} -k lease_is_over",
    ),
    Mutant(
        "a guard sleeps past the deadline",
        "crawler/node/guard/duty.py",
        "return min(max(0.0, left_s), LOOK_S)",
        "return max(LOOK_S, left_s)",
        DUTY,
    ),
    Mutant(
        "a guard leaves a node no moment of its own",
        "crawler/node/guard/duty.py",
        "deadline_s and self._now() >= deadline_s + self._grace_s",
        "deadline_s and self._now() >= deadline_s",
        DUTY,
    ),
    Mutant(
        "a guard kills only when a short lease has ended",
        "crawler/node/guard/duty.py",
        "    return min(GRACE_S, ttl_s / 20)",
        "    return GRACE_S",
        DUTY,
    ),
    Mutant(
        "a guard kills who needs no lease",
        "crawler/node/guard/duty.py",
        "        if deadline_s and self._now()",
        "        if self._now()",
        DUTY,
    ),
    Mutant(
        "a guard revokes a lease that was given up",
        "crawler/node/guard/duty.py",
        '        """The node has no lease any more."""\n        self.lease = 0',
        '        """The node has no lease any more."""',
        DUTY,
    ),
    Mutant(
        "a guard misses what its node said last",
        "crawler/node/guard/process.py",
        "            if has_died or self._node.fileno() in ready:",
        "            if not has_died and self._node.fileno() in ready:",
        "tests/unit/node/test_guard_process.py -k said_last",
    ),
    Mutant(
        "a guard takes a node that is silent for a dead one",
        "crawler/node/guard/process.py",
        "            self._is_silent = True\n",
        "            self._is_silent = self._gone = True\n",
        "tests/unit/node/test_guard_process.py -k nothing_more",
    ),
    Mutant(
        "a new guard does not know the crawl processes of the one before",
        "crawler/node/guard/guard.py",
        "        numbers = list(self._held)\n",
        "        numbers = []\n",
        f"{GUARD} -k knows_all",
    ),
    Mutant(
        "what a crawl process has started outlives it",
        "crawler/node/guard/killing.py",
        "    if crawling.group:",
        "    if False:",
        f"{GUARD} -k started",
    ),
    Mutant(
        "a late renewal of a lost lease prolongs the crawl processes",
        "crawler/coordination/lease.py",
        "        if self._tell is not None and not self.lost.is_set():",
        "        if self._tell is not None:",
        "tests/unit/coordination/test_lease.py -k told",
    ),
    Mutant(
        "a guard does not hear of renewals",
        "crawler/coordination/lease.py",
        "            self._set_deadline(sent_s)\n            return",
        "            self._deadline_s = self._deadline_after(sent_s)\n            return",
        "tests/unit/coordination/test_lease.py -k told",
    ),
    Mutant(
        "crawl processes that wait for the next lease are killed",
        "crawler/node/membership/membership.py",
        "                self._guard.deadline(NO_LEASE)",
        "                pass",
        "tests/unit/node/test_membership.py -k guard",
    ),
    Mutant(
        "a guard holds a lease that its node has given up",
        "crawler/node/membership/membership.py",
        "            self._guard.release()",
        "            pass",
        "tests/unit/node/test_membership.py -k guard",
    ),
]
