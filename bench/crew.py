"""What crawls in processes of their own cost and bring, and what ends with what.

    python -m bench.crew [ROW …]

All rows when none is named. What is compared takes turns in one run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from crawler.runtime import prepare

prepare()

import gevent  # noqa: E402  # after what it may not precede

from bench.crew_bench import COUNTED, at, bench, cpu_s, until  # noqa: E402
from bench.crew_ends import leak, orphans, paused, runaway  # noqa: E402
from bench.pages import ADDRESSES, CORES, served  # noqa: E402
from bench.table import Row, report  # noqa: E402
from crawler import logs  # noqa: E402

RESULT = Path("crew.json")
ROUNDS = 3
PAGES = 1000
"""The pages of each of the tasks that are compared, one at each address of the site."""
STARTS = 100
IDLE = 16
WATCHED_S = 20.0


def throughput() -> Sequence[Row]:
    """Pages a CPU second and pages a second, with one process and with two, in turns."""
    per_cpu: dict[int, list[float]] = {1: [], 2: []}
    per_s: dict[int, list[float]] = {1: [], 2: []}
    with served() as base:
        for _ in range(ROUNDS):
            for count in (1, 2):
                with bench(count, max_pages=PAGES) as made:
                    pids = made.pids()
                    before_s = sum(map(cpu_s, pids))
                    for address in ADDRESSES:
                        made.start(address, "following", at(base, address))
                    runs = made.runs.all()
                    took_s = until(lambda: all(run.ended for run in runs))  # noqa: B023
                    pages = made.pages()
                    per_cpu[count].append(pages / (sum(map(cpu_s, pids)) - before_s))
                    per_s[count].append(pages / took_s)
    share = median(per_cpu[2]) / median(per_cpu[1])
    times = median(per_s[2]) / median(per_s[1])
    has_cores = len(CORES) > 2
    return [
        Row(
            "pages per CPU second, 2 processes against 1",
            f"{share:.0%} ({median(per_cpu[2]):,.0f} and {median(per_cpu[1]):,.0f})",
            ">= 95 %",
            share >= 0.95,
            {"per_cpu": per_cpu},
        ),
        Row(
            "pages a second, 2 processes against 1",
            f"{times:.2f} x ({median(per_s[2]):,.0f} and {median(per_s[1]):,.0f})"
            + ("" if has_cores else "; the site takes one of the two cores"),
            ">= 1.8 x" if has_cores else "",
            times >= 1.8 if has_cores else None,
            {"per_s": per_s},
        ),
    ]


def counts() -> Sequence[Row]:
    """What the worker spends on the counts of many tasks that run."""
    with served() as base, bench(2, max_pages=0) as made:
        for number in range(COUNTED):
            address = ADDRESSES[number % len(ADDRESSES)]
            made.start(f"t{number}", "following", at(base, address), delay_s=0.05)
        until(lambda: made.pages() >= COUNTED)
        gevent.sleep(2.0)
        before_s, began_s = time.process_time(), time.monotonic()
        gevent.sleep(WATCHED_S)
        share = (time.process_time() - before_s) / (time.monotonic() - began_s)
    return [
        Row(
            f"worker: counts of {COUNTED:,} running tasks, twice a second",
            f"{share:.2%} of a core",
            "<= 1 %",
            share <= 0.01,
            {"share": share},
        )
    ]


def starts() -> Sequence[Row]:
    """From the moment that a task is assigned to its first page."""
    took = []
    with served() as base, bench(2) as made:
        for number in range(STARTS):
            made.start(f"t{number}", "idle", at(base, ADDRESSES[number % len(ADDRESSES)]))
            run = made.runs.of(f"t{number}")
            took.append(until(lambda: run.ended))  # noqa: B023
    took.sort()
    p99_s = took[int(len(took) * 0.99) - 1]
    return [
        Row(
            "a task's start: assigned to its end, with one page, p99 of 100",
            f"{p99_s * 1000:.0f} ms, median {median(took) * 1000:.0f} ms",
            "<= 150 ms",
            p99_s <= 0.15,
            {"took_s": took},
        )
    ]


def memory() -> Sequence[Row]:
    """The memory of processes that wait, with their zygote."""
    with bench(IDLE) as made:
        zygote = made.crew.spawner
        assert zygote is not None
        gevent.sleep(1.0)
        pids = [zygote.pid, *made.pids()]
        pss = [_pss(pid) for pid in pids]
    return [
        Row(
            f"memory of {IDLE} idle processes and their zygote",
            f"{sum(pss) / 2**20:.0f} MB",
            "<= 260 MB",
            sum(pss) <= 260 * 2**20,
            {"pss": pss},
        )
    ]


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell the memory of a process")


ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "throughput": throughput,
    "counts": counts,
    "starts": starts,
    "memory": memory,
    "orphans": orphans,
    "paused": paused,
    "runaway": runaway,
    "leak": leak,
}


if __name__ == "__main__":
    logs.setup("error", "text")
    sys.exit(report(ROWS, sys.argv[1:], RESULT))
