"""How fast tasks are decided: the pure part of the scheduler, without etcd."""

from __future__ import annotations

import gc
import resource as rusage
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from bench import scenes
from bench.scenes import Resources
from bench.table import Row, print_table
from crawler.model.records import Node, Owner, Resource, State
from crawler.node.master.draft import Draft
from crawler.node.master.placement import PASS, Placer
from crawler.node.master.workers import WorkerSnapshot
from crawler.scheduler.cycle import Cycle
from crawler.scheduler.framework import Framework
from crawler.settings.scheduler import SchedulerSettings

TASKS = 100_000
WORKERS = 1_000
RICH_TASKS = 20_000
DEATHS = 20
LOST = 100
"""Tasks of each worker that dies."""
LATER_NS = 3_600 * 10**9
"""How long ago those were assigned: for too long to have killed the worker."""

GROWTH_TASKS = (1_000, 10_000, 100_000, 1_000_000)
GROWTH_WORKERS = (10, 100, 1_000, 10_000)
CELL_S = 180.0
"""A cell of the table that takes longer is given up."""


# -- how many a second -----------------------------------------------------------------------------


def decide(workers: Sequence[Node], resources: Resources) -> float:
    """Place all of them, pass after pass; how long it took, in seconds.

    The mirrors' part is done before: the cluster state knows all. Raises AssertionError unless all
    are placed.
    """
    framework = Framework("least-load")
    cluster_state = scenes.state_of(workers, resources)
    cluster_state.begin()
    gc.collect()
    started_s = time.perf_counter()
    backlog = scenes.offer_all(cluster_state, framework, resources)
    placed, plan = 0, 1
    while plan:
        plan = len(Cycle(framework, cluster_state, backlog, resources.get).run(PASS).placed)
        placed += plan
    took_s = time.perf_counter() - started_s
    assert placed == len(resources), f"{placed} of {len(resources)} were placed"
    return took_s


def plain() -> Row:
    """Tasks that ask for nothing."""
    return _rate(
        f"{TASKS:,} tasks on {WORKERS:,} workers, least-load, decisions only",
        min(decide(scenes.plain_workers(WORKERS), scenes.plain_tasks(TASKS)) for _ in range(3)),
        TASKS,
        100_000,
    )


def rich() -> Row:
    """Tasks that ask for all that can be asked."""
    return _rate(
        f"decisions with gpu, labels, anti-affinity, spread; {scenes.SHAPES} shapes",
        min(decide(scenes.rich_workers(WORKERS), scenes.rich_tasks(RICH_TASKS)) for _ in range(3)),
        RICH_TASKS,
        20_000,
    )


def _rate(title: str, took_s: float, tasks: int, bound: int) -> Row:
    rate = tasks / took_s
    figures = {"tasks": tasks, "seconds": took_s, "per_second": rate}
    return Row(title, f"{rate:,.0f}/s", f">= {bound:,}/s", rate >= bound, figures)


# -- a worker dies ---------------------------------------------------------------------------------


class Hall:
    """A term's placement and the state it works on, without etcd."""

    def __init__(self, workers: Sequence[Node], resources: dict[str, Resource]) -> None:
        self.live = {worker.id: worker for worker in workers}
        self.resources = resources
        self.cluster_state = scenes.state_of(workers, resources)
        self.placer = Placer(self.cluster_state, Framework("least-load"), SchedulerSettings())
        self.run_pass()  # the first looks at all there is

    def run_pass(self) -> float:
        """A pass and what is committed of it; how long the decisions took, in seconds."""
        draft = Draft(
            self.resources.get,
            lambda: 1,
            lambda: scenes.CREATED_NS + LATER_NS,
            self.cluster_state.see,
        )
        workers = WorkerSnapshot(self.live, frozenset(), self.cluster_state.workers.cordoned)
        now_ns = scenes.CREATED_NS + LATER_NS
        started_s = time.perf_counter()
        self.placer.place(draft, workers, time.monotonic(), now_ns)
        took_s = time.perf_counter() - started_s
        for change in draft.changes():
            assert change.after is not None  # nothing is deleted here
            self._commit(change.after)
        return took_s

    def end_life(self, worker: Node) -> float:
        """A worker dies; seconds until its tasks have other workers."""
        orphaned = self.cluster_state.holdings.names_on(worker.id)
        del self.live[worker.id]
        started_s = time.perf_counter()
        self.cluster_state.workers.leave(worker.id)
        heard_s = time.perf_counter() - started_s
        decided_s = self.run_pass()
        owners = [self.resources[name].owner for name in orphaned]
        assert len(owners) >= LOST  # and what it got of those that died before
        assert all(owner and owner.node_id in self.live for owner in owners)
        return heard_s + decided_s

    def _commit(self, after: Resource) -> None:
        stored = after.replace(mod_revision=after.mod_revision + 1)
        self.resources[after.name] = stored
        self.cluster_state.see(after.name, stored)


def death() -> Row:
    """One of many workers dies; does it matter how many tasks there are?"""
    many, few = _deaths_ms(TASKS), _deaths_ms(TASKS // 10)
    median, worst = statistics.median(many), max(many)
    measured = (
        f"{median:.1f} ms, worst {worst:.1f}; of {TASKS // 10:,}: {statistics.median(few):.1f}"
    )
    figures = {"of_100000_ms": many, "of_10000_ms": few}
    title = f"one worker of {WORKERS:,} dies, {TASKS:,} tasks exist: its {LOST} tasks decided"
    return Row(title, measured, "<= 20 ms", worst <= 20, figures)


def _deaths_ms(tasks: int) -> list[float]:
    workers = scenes.plain_workers(WORKERS)
    hall = Hall(workers, _assigned(scenes.plain_tasks(tasks), workers))
    gc.collect()
    return [1000 * hall.end_life(worker) for worker in workers[:DEATHS]]


def _assigned(resources: dict[str, Resource], workers: Sequence[Node]) -> dict[str, Resource]:
    """A hundred tasks on each worker that is going to die, the others on the others in turn."""
    doomed = DEATHS * LOST
    return {
        name: _owned(
            task,
            workers[n // LOST] if n < doomed else workers[DEATHS + n % (len(workers) - DEATHS)],
        )
        for n, (name, task) in enumerate(resources.items())
    }


def _owned(task: Resource, worker: Node) -> Resource:
    owner = Owner(worker.id, worker.address, worker.incarnation)
    return replace(task, owner=owner, state=State.RUNNING, epoch=1, assigned_time=scenes.CREATED_NS)


# -- growth ----------------------------------------------------------------------------------------


def growth() -> dict[str, dict[str, float]]:
    """Each cell in a process of its own: `tasks x workers` → seconds, and bytes per task."""
    found = {}
    for tasks in GROWTH_TASKS:
        for workers in GROWTH_WORKERS:
            found[f"{tasks} x {workers}"] = _cell(tasks, workers)
    _print_growth(found)
    return found


def _cell(tasks: int, workers: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.decisions", str(tasks), str(workers)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CELL_S, check=True
        ).stdout
    except subprocess.TimeoutExpired:
        return {}
    seconds, task_bytes, scheduler_bytes = map(float, done.split())
    return {"seconds": seconds, "task_bytes": task_bytes, "scheduler_bytes": scheduler_bytes}


def _print_growth(cells: dict[str, dict[str, float]]) -> None:
    lines = [["tasks \\ workers", *(f"{workers:,}" for workers in GROWTH_WORKERS)]]
    for tasks in GROWTH_TASKS:
        row = [cells[f"{tasks} x {workers}"] for workers in GROWTH_WORKERS]
        lines.append([f"{tasks:,}", *(_cell_text(cell, tasks) for cell in row)])
    print_table(lines)


def _cell_text(cell: dict[str, float], tasks: int) -> str:
    if not cell:
        return f"over {CELL_S:.0f} s"
    seconds = cell["seconds"]
    micros = seconds / tasks * 1e6
    return f"{seconds:.3f} s {micros:.1f} us {cell['scheduler_bytes']:.0f} B"


def measure_cell(tasks: int, workers: int) -> str:
    """Seconds; bytes for each task that it takes as a record; those that placing it takes."""
    nodes = scenes.plain_workers(workers)
    empty = _rss()
    resources = scenes.plain_tasks(tasks)
    filled = _rss()
    took_s = decide(nodes, resources)
    return f"{took_s} {(filled - empty) / tasks} {(_peak_rss() - filled) / tasks}"


def _rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * rusage.getpagesize()


def _peak_rss() -> int:
    return rusage.getrusage(rusage.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(measure_cell(int(sys.argv[1]), int(sys.argv[2])))
