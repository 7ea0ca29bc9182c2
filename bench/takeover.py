"""How long a new leader takes over, and how much memory that takes."""

from __future__ import annotations

from bench import scenes
from bench.ground import open_ground
from bench.nodes import open_master
from bench.table import Row
from crawler.model.records import Resource, State
from crawler.node.master.assignment import assigned

TASKS = 100_000
WORKERS = 1_000
ROUNDS = 3
MOST_S = 4.0
MOST_BYTES = 400 * 1024**2


def row() -> Row:
    """A fresh master process: from the start of its mirrors to the end of its first pass."""
    workers = scenes.plain_workers(WORKERS)
    with open_ground() as ground:
        ground.fill(workers, {})
        live = ground.workers()
        tasks = scenes.plain_tasks(TASKS).values()
        running = (
            _running(assigned(task, live[n % WORKERS], scenes.CREATED_NS))
            for n, task in enumerate(tasks)
        )
        ground.fill([], {task.name: task for task in running})
        found = []
        for _ in range(ROUNDS):
            with open_master(ground) as master:
                took_s = master.logged_s("leading") - master.logged_s("node started")
                found.append((took_s, master.peak_bytes))
    worst_s, worst_bytes = (max(column) for column in zip(*found))
    megabytes = worst_bytes / 1024**2
    return Row(
        f"a new leader takes over {TASKS:,} resources: load and first pass",
        f"{worst_s:.2f} s, {megabytes:.0f} MB, the worst of {ROUNDS}",
        f"<= {MOST_S:.0f} s, <= 400 MB",
        worst_s <= MOST_S and worst_bytes <= MOST_BYTES,
        {"seconds": [seconds for seconds, _ in found], "peak_bytes": [b for _, b in found]},
    )


def _running(task: Resource) -> Resource:
    return task.replace(state=State.RUNNING)
