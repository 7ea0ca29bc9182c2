"""Faults at random for as long as you like, while a client adds and deletes tasks.

    python -m tests.faults.soak [MINUTES] [SEED]

The seed decides which faults come in which order, and for how long; what they meet differs from run
to run. Ends with a summary, and with status 1 and a folder of logs when anything was violated.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gevent

import tests.patched  # noqa: F401  # prepares the process as production does
from crawler.errors import CrawlerError
from tests.faults import history
from tests.faults.arena import Arena, open_arena
from tests.faults.firings import Schedules, firings
from tests.faults.proxy import BOTH, Link, Way
from tests.faults.sharing import RedisCut, RedisFreeze, RedisRestart
from tests.faults.test_black_hole import BlackHole, Delay
from tests.faults.test_clock_back import ClockBack
from tests.faults.test_cut_watch import Cut, compact
from tests.faults.test_etcd_freeze import EtcdFreeze
from tests.faults.test_etcd_restart import EtcdRestart
from tests.faults.test_half_open import HalfOpen
from tests.faults.test_kill import PARTS, Kill, KillPart
from tests.faults.test_pause import Pause
from tests.faults.test_slow_link import SlowLink
from tests.faults.trees import SPIDERS, Trees
from tests.integration.lab import CONFIG
from tests.redis_servers import Redis

TTL_S = 5
MASTERS, WORKERS = 3, 3
TASKS = 200
TREES = 6
"""So many tasks at a time come to an end, and go on where they were; one of them on three
workers."""
CLIENTS = 4
EVERY_S = 5.0
"""A fault begins so often."""
LONGEST_S = 2.5 * TTL_S
"""No fault lasts longer; every second one is over before a lease can end."""
SETTLED_S = 10.0
"""A task is deleted no sooner: by then no repeated add of it is under way any more."""
PATIENCE_S = 60.0
"""Whoever waits longer for an answer, or for quiet at the end, has found a violation."""
TREES_S = 300.0
"""Tasks that were added last come to their end within that time, also on a busy machine."""
LONGEST_GAP_S = 3 * TTL_S + 2
"""A task is without a live owner for no longer: the leader and the next in line may have to expire
first, and the new leader waits for workers that might come back."""
LONGEST_OVERLAP_S = TTL_S
PACE = {"delay_s": 1.0, "report_s": 0.5}


@dataclass(frozen=True)
class Planned:
    """A fault that was drawn."""

    title: str
    target: str
    fault: object
    duration_s: float


class Soak:
    """Draws faults, keeps the client busy, and remembers what went wrong with either."""

    def __init__(
        self, arena: Arena, trees: Trees, redis: Redis, links: dict[str, Link], seed: int
    ) -> None:
        """`links` are those between the workers and Redis."""
        self.arena = arena
        self.trees = trees
        self.schedules = Schedules(arena, PATIENCE_S)
        self._redis = redis
        self._links = links
        self.faults: Counter[str] = Counter()
        self.trouble: list[str] = []
        """What is wrong beside the history: a client that gave up, a node that ended."""
        self._dice = random.Random(seed)
        self._client_dice = random.Random(seed + 1)
        self._broken: set[str] = set()
        """The nodes, or etcd, that have a fault at present."""
        self._killed: set[str] = set()
        self._began_s = time.monotonic()
        self._added = 0
        self._running = True

    def run(self, duration_s: float) -> None:
        """Break things for so long, then heal all and wait for quiet."""
        clients = [gevent.spawn(self._keep_asking) for _ in range(CLIENTS)]
        clients.append(gevent.spawn(self._keep, self.trees.tend, 0.5))
        clients.append(gevent.spawn(self._keep, self.schedules.tend, 1.0))
        self.trees.stalls.start()
        healing = []
        while time.monotonic() - self._began_s < duration_s:
            planned = self._draw()
            if planned is not None:
                healing.append(gevent.spawn(self._carry_out, planned))
            gevent.sleep(EVERY_S)
            self._look_for_fallen_nodes()
        gevent.joinall(healing)
        self._tell("all healed, waiting for quiet")
        self._running = False
        gevent.joinall(clients)
        self._wait_for_quiet()
        self.trees.stalls.stop()

    # -- faults ----------------------------------------------------------------------------------

    def _draw(self) -> Planned | None:
        """A fault for something whole; one master and one worker always stay whole, but for Redis,
        which all workers share."""
        duration_s = self._dice.choice(
            [self._dice.uniform(0.3, 3), self._dice.uniform(3, LONGEST_S)]
        )
        if self._dice.random() < 0.15:
            kind = self._dice.choice([EtcdRestart, EtcdFreeze])
            if "etcd" in self._broken:
                return None
            return Planned(kind.__name__, "etcd", kind(), duration_s)
        if self._dice.random() < 0.15:
            kind = self._dice.choice([RedisRestart, RedisFreeze])
            if "redis" in self._broken:
                return None
            return Planned(kind.__name__, "redis", kind(self._redis), duration_s)
        role = self._dice.choice(["master", "master", "worker"])
        node = self._whole(role)
        if node is None:
            return None
        kinds = [Kill, Pause, BlackHole, Delay, HalfOpen, SlowLink, Cut]
        kinds += [ClockBack] if role == "master" else [RedisCut, KillPart, KillPart]
        kind = self._dice.choice(kinds)
        return Planned(kind.__name__, node.title, self._made(kind, node), duration_s)

    def _made(self, kind, node):
        if kind in (BlackHole, Delay):
            return kind(node, ways=self._dice.choice([BOTH, (Way.OUT,), (Way.BACK,)]))
        if kind is SlowLink:
            return kind(node, latency_s=self._dice.choice([0.05, 0.3, 1.0]), bytes_per_s=100_000)
        if kind is ClockBack:
            return kind(node, hours=self._dice.uniform(-2, 2))
        if kind is KillPart:
            return kind(node, self._dice.choice(PARTS))
        if kind is RedisCut:
            return kind(self._links[node.title])
        return kind(node)

    def _whole(self, role):
        """A node without a fault, the leader if possible in half the cases."""
        whole = [n for n in self.arena.lab.nodes(role) if n.title not in self._broken]
        if len(whole) < 2:
            return None
        chosen, wants_leader = self._dice.choice(whole), self._dice.random() < 0.5
        leader = self.arena.leader() if wants_leader else None
        return leader if leader in whole else chosen

    def _carry_out(self, planned: Planned) -> None:
        self.faults[planned.title] += 1
        self._broken.add(planned.target)
        if planned.title == "Kill":
            self._killed.add(planned.target)
        self._tell(f"{planned.title} {planned.target} for {planned.duration_s:.1f} s")
        try:
            planned.fault.inject(self.arena)
            gevent.sleep(planned.duration_s)
            if planned.title == "Cut" and "etcd" not in self._broken:
                with contextlib.suppress(CrawlerError):
                    compact(self.arena)
            planned.fault.heal(self.arena)
        except Exception as error:
            self.trouble.append(f"{planned}: {error!r}")
        self._killed.discard(planned.target)
        self._broken.discard(planned.target)

    def _look_for_fallen_nodes(self) -> None:
        for node in self.arena.lab.nodes("master") + self.arena.lab.nodes("worker"):
            if not node.process.alive and node.title not in self._killed:
                self._killed.add(node.title)
                self.trouble.append(f"{node.title} ended by itself:\n{node.process.tail(5)}")

    # -- the client ------------------------------------------------------------------------------

    def _keep_asking(self) -> None:
        while self._running:
            try:
                self._ask()
            except AssertionError as error:
                self.trouble.append(f"a client gave up: {error}")
            gevent.sleep(self._client_dice.uniform(0.1, 1.0))

    def _keep(self, tend: Callable[[], None], pause_s: float) -> None:
        while self._running:
            try:
                tend()
            except AssertionError as error:
                self.trouble.append(f"a client gave up: {error}")
            gevent.sleep(pause_s)

    def _ask(self) -> None:
        client = self.arena.client
        present = set(client.acknowledged) - client.deleted - self.trees.names
        settled_s = time.monotonic() - SETTLED_S
        old = sorted(name for name in present if client.acknowledged[name] < settled_s)
        if old and len(present) >= TASKS * self._client_dice.uniform(0.9, 1.1):
            client.delete(self._client_dice.choice(old), PATIENCE_S)
        else:
            self._added += 1
            client.add(f"task-{self._added:05}", PATIENCE_S)

    # -- the end ---------------------------------------------------------------------------------

    def _wait_for_quiet(self) -> None:
        try:
            self.arena.at_full_strength(PATIENCE_S)
            self.trees.wake()
            self.schedules.end()
            deadline_s = time.monotonic() + PATIENCE_S
            while self.schedules.look():
                assert time.monotonic() < deadline_s, "a task of a schedule does not end"
                gevent.sleep(0.2)
            deadline_s = time.monotonic() + TREES_S
            while self.trees.names:
                assert time.monotonic() < deadline_s, f"not done: {sorted(self.trees.names)}"
                self.trees.look()
                gevent.sleep(0.2)
            deadline_s = time.monotonic() + PATIENCE_S
            while not self.arena.is_quiet():
                assert time.monotonic() < deadline_s, "not every task is run by a live worker"
                gevent.sleep(0.2)
        except AssertionError as error:
            self.trouble.append(f"no quiet in {PATIENCE_S:.0f} s: {error}")

    def _tell(self, text: str) -> None:
        at_s = time.monotonic() - self._began_s
        client = self.arena.client
        tasks = f"{len(client.acknowledged)} added, {len(client.deleted)} deleted"
        print(f"[{at_s:6.1f} s] {text} ({tasks})", flush=True)


def judge(soak: Soak) -> tuple[list[str], list[str]]:
    """The lines of the summary, and what was violated."""
    arena = soak.arena
    entries = arena.recorder.catch_up()
    found, gaps, overlaps = arena.violations(), arena.gaps(), arena.overlaps()
    wrong_firings, fired = firings(entries)
    found += wrong_firings
    kinds = Counter(violation.kind for violation in found)
    worst_gap_s = gaps[0].duration_s if gaps else 0.0
    worst_overlap_s = overlaps[0].duration_s if overlaps else 0.0
    named = ("lost", "term", "owners", "firing")
    trees = soak.trees.counts
    summary = [
        "faults: " + ", ".join(f"{count} {kind}" for kind, count in soak.faults.most_common()),
        f"changes recorded: {len(entries)}",
        f"leader changes: {len(history.leaders(entries)) - 1}",
        f"adds acknowledged: {len(arena.client.acknowledged)}",
        f"deletes asked for: {len(arena.client.deleted)}",
        f"tasks lost: {kinds['lost']}",
        f"writes of an old term accepted: {kinds['term']}",
        f"two owners in one epoch: {kinds['owners']}",
        f"times of schedules: {fired['fired']} fired, of them carried out by another leader than"
        f" the one that decided it: {fired['taken over']}; {fired['missed']} too late;"
        f" lost or doubled: {kinds['firing']}",
        f"other violations: {sum(n for kind, n in kinds.items() if kind not in named)}",
        f"worst overlap of two runs: {worst_overlap_s:.2f} s (bound {LONGEST_OVERLAP_S:.0f} s)",
        f"worst time without an owner: {worst_gap_s:.2f} s (bound {LONGEST_GAP_S:.0f} s)",
        f"tasks that went on to their end: {trees['tasks']}, of them on several workers:"
        f" {trees['woods']}, in {trees['runs']} runs,"
        f" the longest in {trees['longest']} s, with {trees['pauses']} pauses",
        f"their pages: {trees['pages']}, lost {trees['lost']}, fetched again {trees['again']},"
        f" too early {trees['early']}",
        f"their items: {trees['items']}, missing {trees['missing']}, twice {trees['doubled']}",
    ]
    violated = [str(each) for each in [*found, *soak.trouble, *soak.trees.trouble]]
    violated += [str(gap) for gap in gaps if gap.duration_s > LONGEST_GAP_S]
    violated += [str(each) for each in overlaps if each.duration_s > LONGEST_OVERLAP_S]
    return summary, violated


def _soaked(arena: Arena, redis: Redis, minutes: float, seed: int) -> tuple[list[str], list[str]]:
    """Soak workers that share a Redis, each over a link of its own; what `judge` says."""
    lab, trees = arena.lab, Trees(arena, TREES, PATIENCE_S)
    (lab.folder / "tree.py").write_text(trees.spider())
    text = CONFIG.format(ttl_s=TTL_S, spiders=SPIDERS, **lab.pace)
    text += f"frontier: {{url: '{redis.url}'}}\n"  # masters only look whether there is one
    (lab.folder / "soak.yaml").write_text(text)
    links = {f"worker-{n}": Link(f"127.0.0.1:{redis.port}") for n in range(1, WORKERS + 1)}
    for link in links.values():
        link.start()

    def of_worker(title: str) -> dict[str, str]:
        url = f"redis://{links[title].endpoint}/0"
        return {"CRAWLER_FRONTIER_URL": url, "CRAWLER_WORKER_ITEMS": str(trees.items(title))}

    try:
        with trees.site, contextlib.ExitStack() as sites:
            arena.start(MASTERS, WORKERS, "soak", of_worker)
            arena.add(*(f"first-{number:03}" for number in range(TASKS)))
            soak = Soak(arena, trees, redis, links, seed)
            sites.enter_context(soak.schedules.site)
            soak.run(minutes * 60)
            told = judge(soak)
            arena.recorder.save(lab.folder / "history.jsonl")
            return told
    finally:
        for link in links.values():
            link.stop()


def main(minutes: float, seed: int) -> int:
    """Run it; the exit status."""
    folder = Path(tempfile.mkdtemp(prefix=f"crawler-soak-{seed}-"))
    print(f"seed {seed}, {minutes:g} minutes; logs: {folder}", flush=True)
    redis = Redis()
    redis.start()
    try:
        with open_arena(folder, ttl_s=TTL_S, silence_s=2.5, **PACE) as arena:
            summary, violated = _soaked(arena, redis, minutes, seed)
    finally:
        redis.remove()
    print("\n".join(["", *summary]))
    if not violated:
        shutil.rmtree(folder)
        return 0
    print(f"\n{len(violated)} violations, the first of them:")
    print("\n".join(violated[:20]))
    print(f"\nlogs and history: {folder}\nagain: make soak MINUTES={minutes:g} SEED={seed}")
    return 1


if __name__ == "__main__":
    given = sys.argv[1:]
    chosen = int(given[1]) if given[1:] else random.SystemRandom().randrange(10_000)
    sys.exit(main(float(given[0]) if given else 10.0, chosen))
