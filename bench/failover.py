"""How long the cluster is without a leader, its tasks without a worker, etcd without writes.

    python -m bench.failover [ROUNDS] [SCENARIO …]

Real processes and a real etcd of one member on this machine, both leases with the default time to
live. Each figure counts from the moment of the signal, on the monotonic clock.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent

import tests.patched  # noqa: F401  # prepares the process as production does
from tests.faults import history
from tests.faults.arena import Arena, open_arena
from tests.integration.lab import LabNode
from tests.waiting import eventually

TTL_S = 5
TASKS = 1000
DOWN_S = 2.0
"""How long etcd is away."""
WITHIN_S = 30.0
"""Longer than this and it is given up; also the figure of a round that went wrong altogether."""
RESULT = Path("failover.json")

IDLE = {"delay_s": 3600, "report_s": 0.5}
"""Each task fetches its first page and then waits, so that this machine measures, not crawls."""


@dataclass(frozen=True)
class Scenario:
    """What is measured, and what it may take."""

    title: str
    bound_s: float
    measure: Callable[[Arena], float]
    prepare: Callable[[Arena], None]


# -- the leader ------------------------------------------------------------------------------------


def three_masters(arena: Arena) -> None:
    """Masters alone: tasks are accepted without a worker too."""
    arena.start(masters=3, workers=0)


def leader_killed(arena: Arena) -> float:
    """SIGKILL → the next leader has acknowledged a task."""
    return _leader_gone(arena, signal.SIGKILL)


def leader_terminated(arena: Arena) -> float:
    """SIGTERM → the next leader has acknowledged a task."""
    return _leader_gone(arena, signal.SIGTERM)


def _leader_gone(arena: Arena, how: signal.Signals) -> float:
    leader, survivors = arena.leader(), arena.followers()
    revision = min(_candidates(arena))
    signalled_s = _send(leader, how)
    posters = [gevent.spawn(_post_until_taken, arena, node, revision) for node in survivors]
    first = gevent.wait(posters, timeout=WITHIN_S, count=1)[0].get()
    gevent.killall(posters)
    leader.process.wait(WITHIN_S)
    _back_to_full_strength(arena, leader)
    return first - signalled_s


def _post_until_taken(arena: Arena, master: LabNode, old_leader: int) -> float:
    """Post one task after another, until one is acknowledged that another leader wrote."""
    number = 0
    while True:
        number += 1
        name = f"probe-{master.name}-{time.monotonic_ns()}-{number}"
        acknowledged_s = _posted_s(arena, master, name)
        if acknowledged_s and arena.lab.resource(name)["Term"] != old_leader:
            return acknowledged_s
        gevent.sleep(0.01)


def _posted_s(arena: Arena, master: LabNode, name: str) -> float | None:
    """When the task was acknowledged; None when it was not."""
    try:
        status, _, _ = master.call("POST", "/crawler/resource", arena.lab.specification(name))
    except OSError:
        return None
    return time.monotonic() if status == 200 else None


def _candidates(arena: Arena) -> list[int]:
    return [kv.create_revision for kv in arena.lab.store.range(history.ELECTION).items]


# -- a worker --------------------------------------------------------------------------------------


def a_thousand_tasks_on_one_of_two_workers(arena: Arena) -> None:
    """All on one, so that all move to the other, and back the next time."""
    arena.start(masters=2, workers=1)
    arena.add(*(f"task-{number:04}" for number in range(TASKS)))
    _wait_until_all_run(arena)
    arena.lab.start("worker-2")
    arena.at_full_strength()


def worker_killed(arena: Arena) -> float:
    """SIGKILL → every task belongs to the worker that lives."""
    return _worker_gone(arena, signal.SIGKILL)


def worker_terminated(arena: Arena) -> float:
    """SIGTERM → every task belongs to the worker that lives."""
    return _worker_gone(arena, signal.SIGTERM)


def _worker_gone(arena: Arena, how: signal.Signals) -> float:
    busy, idle = _busy_and_idle(arena)
    known = len(arena.recorder.catch_up())
    signalled_s = _send(busy, how)
    moved: dict[str, float] = {}

    def all_moved() -> bool:
        nonlocal known
        fresh, known = arena.recorder.entries[known:], len(arena.recorder.entries)
        for entry in fresh:
            name = history.resource_name(entry.key)
            owner = history.owner_of(json.loads(entry.value)) if name and entry.value else None
            if name and owner is not None and owner.id == idle.id:
                moved.setdefault(name, entry.at_s)
        return len(moved) == TASKS

    eventually(all_moved, WITHIN_S, "all tasks have moved", every_s=0.05)
    busy.process.wait(WITHIN_S)
    _wait_until_all_run(arena)
    _back_to_full_strength(arena, busy)
    return max(moved.values()) - signalled_s


def _busy_and_idle(arena: Arena) -> tuple[LabNode, LabNode]:
    one, other = arena.lab.nodes("worker")
    assigned = arena.lab.resource("task-0000")["AssignedNode"]
    return (one, other) if assigned.startswith(f"{one.id}|") else (other, one)


def _wait_until_all_run(arena: Arena) -> None:
    eventually(arena.is_quiet, 60, "all tasks run", every_s=0.2)


# -- etcd ------------------------------------------------------------------------------------------


def etcd_restarted(arena: Arena) -> float:
    """etcd answers again after 2 s away → a task is acknowledged; nobody else leads."""
    # Every lease is renewed once more by then, and may have to be again at any moment.
    gevent.sleep(TTL_S / 3 * random.uniform(1.2, 2.2))
    led = history.leaders(arena.recorder.catch_up())
    arena.lab.etcd.kill()
    gevent.sleep(DOWN_S)
    arena.lab.etcd.restart()
    back_s = time.monotonic()
    with gevent.Timeout(WITHIN_S):
        taken_s = _post_until_taken(arena, arena.lab.nodes("master")[0], old_leader=0)
    arena.at_full_strength()
    if history.leaders(arena.recorder.catch_up()) != led:
        print("  the leader changed while etcd was restarted", file=sys.stderr)
        return WITHIN_S
    return taken_s - back_s


# -- all of them -----------------------------------------------------------------------------------


def _send(node: LabNode, how: signal.Signals) -> float:
    """Send a signal and do not wait; when that was."""
    pid = node.process.pid
    assert pid is not None, "it runs no more"
    os.kill(pid, how)
    return time.monotonic()


def _back_to_full_strength(arena: Arena, node: LabNode) -> None:
    arena.lab.start(node.title, ready=False)
    arena.at_full_strength(WITHIN_S)


SCENARIOS = {
    "leader-killed": Scenario(
        "leader SIGKILL, next leader accepts", 1, leader_killed, three_masters
    ),
    "leader-terminated": Scenario(
        "leader SIGTERM, next leader accepts", 0.5, leader_terminated, three_masters
    ),
    "worker-killed": Scenario(
        f"worker SIGKILL, {TASKS:,} tasks moved",
        1,
        worker_killed,
        a_thousand_tasks_on_one_of_two_workers,
    ),
    "worker-terminated": Scenario(
        f"worker SIGTERM, {TASKS:,} tasks moved",
        1,
        worker_terminated,
        a_thousand_tasks_on_one_of_two_workers,
    ),
    "etcd-restarted": Scenario(
        f"etcd {DOWN_S:.0f} s away, writes again", 2, etcd_restarted, three_masters
    ),
}


def run(scenario: Scenario, rounds: int) -> list[float]:
    """Measure it so often in one cluster."""
    folder = Path(tempfile.mkdtemp(prefix="crawler-failover-"))
    print(f"logs: {folder}", file=sys.stderr)
    with open_arena(folder, ttl_s=TTL_S, **IDLE) as arena:
        scenario.prepare(arena)
        taken_s = [_told(scenario, scenario.measure(arena)) for _ in range(rounds)]
    shutil.rmtree(folder)  # what failed is kept
    return taken_s


def _told(scenario: Scenario, taken_s: float) -> float:
    mark = "" if taken_s <= scenario.bound_s else "  over the bound"
    print(f"  {scenario.title}: {taken_s:.3f} s{mark}", file=sys.stderr, flush=True)
    return taken_s


def _summary(scenario: Scenario, taken_s: list[float]) -> dict[str, Any]:
    return {
        "title": scenario.title,
        "rounds": len(taken_s),
        "median_s": round(statistics.median(taken_s), 3),
        "worst_s": round(max(taken_s), 3),
        "bound_s": scenario.bound_s,
        "all_s": [round(each, 3) for each in taken_s],
    }


def main(rounds: int, names: list[str]) -> int:
    """Print the table and write the figures as JSON; 1 when a bound was missed."""
    results: dict[str, Any] = {}
    for name in names or SCENARIOS:
        results[name] = _summary(SCENARIOS[name], run(SCENARIOS[name], rounds))
    print(f"{'':<38} {'median':>8} {'worst':>8} {'bound':>8}")
    for row in results.values():
        times = f"{row['median_s']:7.2f}s {row['worst_s']:7.2f}s {row['bound_s']:7.1f}s"
        print(f"{row['title']:<38} {times}")
    RESULT.write_text(json.dumps(results, indent=2) + "\n")
    print(f"figures: {RESULT}")
    return int(any(row["worst_s"] > row["bound_s"] for row in results.values()))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 20, sys.argv[2:]))
