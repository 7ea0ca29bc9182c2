"""What it costs the placement that a history is written beside it, and how fast it is written."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench import scenes
from bench.durable import TASKS, WITHIN_S, WORKERS, place
from bench.ground import open_ground
from bench.table import Row
from crawler.clock import SystemClock
from crawler.history.events import Seen
from crawler.history.history import History, Present
from crawler.history.kept import KeptHistory
from crawler.history.store import HistoryStore
from crawler.metrics import Metrics
from crawler.supervision import Supervisor

ROUNDS = 7
URL = "sqlite:///history.db"


class Took(NamedTuple):
    """What a placement took."""

    wall_s: float
    cpu_s: float
    """Of the whole process, and so without what others on the machine do meanwhile."""


def row() -> Row:
    """Place the same tasks with a history and without, by turns. The history begins at the first
    placement and ends when the last run is in the database."""
    bare: list[Took] = []
    kept: list[Took] = []
    rates = []
    for _ in range(ROUNDS):
        bare.append(_placed_in(None))
        placed, written_s = _both()
        kept.append(placed)
        rates.append(TASKS / written_s)
    share = statistics.median(one.wall_s / other.wall_s for one, other in zip(bare, kept))
    cpu = statistics.median(one.cpu_s / other.cpu_s for one, other in zip(bare, kept))
    rate = statistics.median(rates)
    return Row(
        f"{TASKS:,} runs written beside their placement",
        f"{rate:,.0f}/s; placement at {share:.0%}, by processor time {cpu:.0%}",
        ">= 5,000/s, and placement >= 95 %",
        rate >= 5_000 and share >= 0.95,
        {"bare_s": bare, "kept_s": kept, "written_per_second": rates},
    )


def _placed_in(history: History | None) -> Took:
    with open_ground() as ground:
        ground.fill(scenes.plain_workers(WORKERS), scenes.plain_tasks(TASKS))
        leadership, lease = ground.elected()
        began_s = time.process_time()
        took_s, _ = place(ground, leadership, lease, history)
        cpu_s = time.process_time() - began_s
        lease.revoke()
    return Took(took_s, cpu_s)


def _both() -> tuple[Took, float]:
    """What it took until all are placed, and the seconds until all are written."""
    supervisor = Supervisor("bench")
    with tempfile.TemporaryDirectory() as folder:
        store = HistoryStore(URL, folder)
        store.prepare("bench")
        metrics = Metrics()
        history = _Timed(URL, folder, 0.0, metrics, SystemClock(), lambda: "bench")
        history.start(supervisor)
        placed = _placed_in(history)
        deadline_s = time.perf_counter() + WITHIN_S
        while history.is_behind:
            assert time.perf_counter() < deadline_s, "not all runs were written in time"
            time.sleep(0.01)
        written_s = time.perf_counter() - history.began_s
        supervisor.stop()
        history.close()
        store.close()
    return placed, written_s


class _Timed(KeptHistory):
    """Knows when it was told first. It does not catch up: all is noted here."""

    began_s = 0.0

    def lead(self, present: Present) -> None:
        """Nothing is to be found."""

    def note(self, changes: Sequence[Seen]) -> None:
        """Take changes."""
        self.began_s = self.began_s or time.perf_counter()
        super().note(changes)

    @property
    def is_behind(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)
