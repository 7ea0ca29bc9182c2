"""How late a task begins, with many schedules: from its moment until it is durable."""

from __future__ import annotations

import time
from statistics import quantiles

from bench.ground import open_ground
from bench.nodes import open_master
from bench.table import Row
from crawler.coordination.schedules import encode_schedule
from crawler.coordination.store import Put
from crawler.model.records import Spec
from crawler.model.schedules import Overlap, Schedule, ScheduleWish

SCHEDULES = 10_000
SECONDS = 120
"""Each schedule fires once a minute, so that each fires while this measures."""
AT_ONCE = 50
"""So many fire at the same second, twice a minute, beside those that are spread."""
MOST_S = 0.5
START_NS = 30 * 10**9
"""The first moments come when the master leads already."""


def row() -> Row:
    """A master with 10,000 schedules: most are spread by their jitter, some fire at once."""
    with open_ground() as ground:
        spread = (_minutely(f"spread-{n}", 60.0) for n in range(SCHEDULES - AT_ONCE))
        together = (_minutely(f"together-{n}", 0.0) for n in range(AT_ONCE))
        ground.put(
            Put(ground.keys.schedule(each.name), encode_schedule(each))
            for each in (*spread, *together)
        )
        with open_master(ground) as master:
            cpu_s = master.cpu_s
            time.sleep(SECONDS)
            cpu = (master.cpu_s - cpu_s) / SECONDS
            late = [float(each["late_s"]) for each in master.logged("a schedule began its task")]
    worst_s, p99_s = max(late), quantiles(late, n=100)[98]
    return Row(
        f"{SCHEDULES:,} schedules, each once a minute, {AT_ONCE} of them at the same second",
        f"{len(late) / SECONDS:.0f} firings/s, p99 {1000 * p99_s:.0f} ms late, "
        f"worst {1000 * worst_s:.0f} ms, {cpu:.0%} of a processor",
        f"all <= {MOST_S:g} s late",
        worst_s <= MOST_S and len(late) >= SCHEDULES,
        {"firings": len(late), "p99_s": p99_s, "worst_s": worst_s, "cpu": cpu},
    )


def _minutely(name: str, jitter_s: float) -> Schedule:
    wish = ScheduleWish(name, "* * * * *", Spec(name), overlap=Overlap.REPLACE, jitter_s=jitter_s)
    now_ns = time.time_ns()
    return Schedule(wish, now_ns, now_ns + START_NS)
