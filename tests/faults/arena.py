"""A lab in which things go wrong: each node behind a link of its own, everything written down."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from pathlib import Path

import gevent.pool

from crawler.errors import Retryable
from crawler.local.cluster import is_ready
from tests.faults import history
from tests.faults.client import Client
from tests.faults.recorder import Recorder
from tests.faults.visits import overlaps, wrong_runs
from tests.integration.lab import ROOT, Lab
from tests.waiting import PATIENCE_S, eventually

CLOCK = Path(__file__).parent / "clock"
"""What makes the wall clock of a process one that can be set."""

SILENCE_S = 0.5
"""A run that asks for no page for so long stands still; running ones ask ten times a second."""


def unless_etcd_is_silent(look):
    """None while etcd does not answer: it may be coming back."""

    @functools.wraps(look)
    def looked(*arguments):
        try:
            return look(*arguments)
        except Retryable:
            return None

    return looked


class Arena:
    """The lab, its history so far, and a client."""

    def __init__(self, lab, recorder, silence_s):
        self.lab = lab
        self.recorder = recorder
        self.client = Client(lab)
        self.excused = []
        """Times from, to in which nobody could place anything: etcd did not answer."""
        self._silence_s = silence_s
        self._since_s = 0.0

    def clock_file(self, title):
        """What is added to the wall clock of that master stands there, in nanoseconds."""
        return self.lab.folder / f"clock-{title}"

    # -- what the faults need to know -----------------------------------------------------------

    @unless_etcd_is_silent
    def leader(self):
        """The node that leads, by etcd's word; None while nobody does."""
        leading = self.lab.leading()
        return next((n for n in self.lab.nodes("master") if n.candidate == leading), None)

    def next_leader(self, old=None):
        """The node that leads, and is not the old one; waits until one does."""
        return eventually(lambda: (new := self.leader()) is not old and new, what="another leads")

    def followers(self):
        """The masters that do not lead."""
        leader = self.leader()
        return [node for node in self.lab.nodes("master") if node is not leader]

    def busy_worker(self):
        """The worker that runs most of the tasks."""
        owners = Counter(self.lab.running(*self.lab.resources()).values())
        return self.lab[owners.most_common(1)[0][0]]

    # -- how it stands --------------------------------------------------------------------------

    def start(self, masters=2, workers=2, config="slow", of_worker=lambda title: {}):
        """Start so many nodes, and wait until all are ready. `of_worker` tells what a worker has in
        its environment."""
        for title in (f"master-{n}" for n in range(1, masters + 1)):
            path = os.pathsep.join([str(CLOCK), str(ROOT)])
            clock = {"PYTHONPATH": path, "CRAWLER_TESTS_CLOCK": str(self.clock_file(title))}
            self.lab.start(title, config=config, ready=False, **clock)
        for title in (f"worker-{n}" for n in range(1, workers + 1)):
            self.lab.start(title, config=config, ready=False, **of_worker(title))
        self.at_full_strength()

    def begin(self, *tasks):
        """Heal whatever is broken, leave these tasks only, and judge what follows."""
        self._heal()
        self.at_full_strength()
        left_over = set(self.client.acknowledged) - self.client.deleted - set(tasks)
        gevent.pool.Pool(16).map(self.client.delete, left_over)
        self.add(*(task for task in tasks if task not in self.client.acknowledged))
        eventually(self.is_quiet, PATIENCE_S, "every task is run by a live worker")
        self._since_s = time.monotonic()

    def add(self, *names):
        """Add tasks, several at a time."""
        gevent.pool.Pool(16).map(self.client.add, names)

    def at_full_strength(self, within_s=PATIENCE_S):
        """Wait until every node that was ever started is a member, and all masters stand.

        What a killed node left in etcd looks like a member: so ask the nodes too.
        """
        nodes = self.lab.nodes("master") + self.lab.nodes("worker")
        everyone = {node.title for node in nodes}
        masters = sorted(node.candidate for node in self.lab.nodes("master"))
        for node in nodes:
            http = f"127.0.0.1:{node.http}"
            eventually(lambda http=http: is_ready(http), within_s, f"{node.title} is ready")
        eventually(lambda: self._registered() == everyone, within_s, f"all of {everyone}")
        eventually(lambda: self._candidates() == masters, within_s, f"{masters} stand")

    @unless_etcd_is_silent
    def is_quiet(self):
        """Whether each task that should be there is there, and run by a live worker."""
        live = {
            history.Owner(kv.key.rpartition("/")[2], kv.create_revision)
            for kv in self.lab.store.range(history.WORKERS).items
        }
        found = {name: json.loads(raw) for name, (raw, _) in self.lab.resources().items()}
        settled = all(
            value["State"] == "running" and history.owner_of(value) in live
            for value in found.values()
        )
        return settled and set(found) == set(self.client.acknowledged) - self.client.deleted

    def registrations(self):
        """Node → the revision of its registration: another one means that it lost its lease."""
        found = self.lab.store.range("/micro/registry/").items
        return {kv.key: kv.create_revision for kv in found}

    def wait_until_moved(self, *nodes, within_s=PATIENCE_S):
        """Wait until every task is run by a live worker that is none of these."""
        left = {node.title for node in nodes}

        def moved():
            return self.is_quiet() and not left & set(
                self.lab.running(*self.lab.resources()).values()
            )

        eventually(moved, within_s, f"no task is on {left}", every_s=0.05)

    def check(self, longest_overlap_s=None, within_s=PATIENCE_S):
        """Wait until all is quiet; fail unless the history and the site's visits are sound.

        How soon a task has a live owner again depends on the machine: `bench/failover.py` measures
        it. Here none may wait as if nobody saw to it.
        """
        eventually(self.is_quiet, within_s, "every task is run by a live worker")
        found = [str(violation) for violation in self.violations()]
        found += [str(gap) for gap in self.gaps() if gap.duration_s > PATIENCE_S]
        limit_s = longest_overlap_s or self.lab.ttl_s
        found += [str(each) for each in self.overlaps() if each.duration_s > limit_s]
        assert not found, "\n".join(found[:20])

    def violations(self):
        """What must never be, and is in the history or lost from it."""
        entries = self.recorder.catch_up()
        found = history.violations(entries, late_s=self.lab.ttl_s)
        found += history.lost(entries, self.client.acknowledged, self.client.deleted)
        return found + wrong_runs(self._wrote(), self.lab.site.visits, history.owners(entries))

    def gaps(self):
        """The times that tasks were without a live owner, the longest first."""
        found = history.gaps(self.recorder.catch_up(), time.monotonic(), self.excused)
        return [gap for gap in found if gap.from_s >= self._since_s]

    def visits(self, worker=""):
        """Every request to the site, by that worker or by all."""
        seen = itertools.chain.from_iterable(self.lab.site.visits.values())
        return [visit for visit in seen if worker in ("", visit.worker)]

    def overlaps(self):
        """The times that two runs of a task went on together, the longest first."""
        found = overlaps(self.lab.site.visits, self._silence_s)
        return [overlap for overlap in found if overlap.new.at_s >= self._since_s]

    def _heal(self):
        """Whatever a test left broken is whole again: etcd, the links, the nodes."""
        if self.lab.etcd.pid is None:
            self.lab.etcd.restart()
        self.lab.etcd.resume()
        for link in self.lab.links():
            link.heal()
        for node in self.lab.nodes("master") + self.lab.nodes("worker"):
            self.clock_file(node.title).unlink(missing_ok=True)
            node.process.resume()
            self.lab.start(node.title, ready=False)

    def _wrote(self):
        """Id and epoch → the runs that left items under them; each item names its run."""
        found = defaultdict(set)
        for path in self.lab.folder.glob("**/items/*/*.jsonl*"):
            id, _, epoch = path.name.partition(".")[0].partition("-")
            found[id, int(epoch)] = set(re.findall(r"\?(\w+)", path.read_text()))
        return found

    @unless_etcd_is_silent
    def _registered(self):
        return self.lab.registered()

    @unless_etcd_is_silent
    def _candidates(self):
        found = self.lab.store.range(history.ELECTION).items
        return sorted(kv.value.decode() for kv in found)


@contextmanager
def open_arena(folder, *, silence_s=SILENCE_S, **options):
    """An arena whose history begins before the first node starts; options are the lab's.

    Each run begins anew: so its file has only its own items, and shows who wrote when.
    """
    with Lab(folder, linked=True, own_hosts=True, resume="false", **options) as lab:
        recorder = Recorder(lab.endpoints)
        recorder.start()
        try:
            yield Arena(lab, recorder, silence_s)
        finally:
            recorder.stop()
