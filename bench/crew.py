"""What crawls in processes of their own cost and bring, and what ends with what.

    python -m bench.crew [ROW …]

All rows when none is named. What is compared takes turns in one run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from crawler.runtime import prepare

prepare()

import gevent  # noqa: E402  # after what it may not precede

from bench.contenders.common import SPIDER  # noqa: E402
from bench.pages import ADDRESSES, CORES, served  # noqa: E402
from bench.table import Row, report  # noqa: E402
from crawler import logs  # noqa: E402
from crawler.clock import SystemClock  # noqa: E402
from crawler.model.records import Resource, Spec  # noqa: E402
from crawler.node.crew.process import CrawlProcess  # noqa: E402
from crawler.node.crew.processes import Processes  # noqa: E402
from crawler.node.worker.runs import Runs  # noqa: E402
from crawler.settings.crawl import CrawlSettings  # noqa: E402
from crawler.settings.sections import Settings  # noqa: E402
from crawler.settings.worker import WorkerSettings  # noqa: E402

RESULT = Path("crew.json")
ROUNDS = 3
PAGES = 1000
"""The pages of each of the tasks that are compared, one at each address of the site."""
STARTS = 100
IDLE = 16
COUNTED = 1000
WATCHED_S = 20.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

IDLERS = """
from crawler import Spider

class Idle(Spider):
    name = "idle"

    def parse(self, response):
        yield {"url": response.url}
"""
RUNAWAY = """
import re
from crawler import Spider

class Runaway(Spider):
    name = "runaway"

    def parse(self, response):
        re.match("(a+)+$", "a" * 60 + "b")
"""


class Bench:
    """A worker's crew and runs, without a cluster."""

    def __init__(self, folder: Path, processes: int, **crawl: float) -> None:
        (folder / "spiders.py").write_text(SPIDER.format(package="crawler") + IDLERS + RUNAWAY)
        worker = WorkerSettings(processes=processes, private_targets=["127.0.0.0/8"])
        pace = {"delay_s": 0.0, "host_concurrency": 64, "concurrency": 64, **crawl}
        settings = Settings(
            worker=worker,
            crawl=CrawlSettings(**pace),  # type: ignore[arg-type]
            spiders=["spiders.py"],
            folder=str(folder),
        )
        clock = SystemClock()
        self.crew = Processes(settings, clock)
        self.runs = Runs(self.crew, clock, lambda: None, COUNTED)
        self.crew.start()
        self.crew.prepare()
        until(lambda: len(self.processes()) == processes)

    def processes(self) -> list[CrawlProcess]:
        """Those that crawl for anybody."""
        return [each for each in self.crew._serving() if not each.group]

    def pids(self) -> list[int]:
        """Their numbers for the system."""
        return [each.born.pid for each in self.processes() if each.born is not None]

    def start(self, name: str, spider: str, url: str, **settings: float) -> None:
        """Start a task."""
        parameters = {"start_urls": [url], "settings": settings}
        self.runs.start(Resource(Spec(name, spider, parameters), id=name, epoch=1))

    def pages(self, prefix: str = "") -> int:
        """What the tasks of such names have fetched."""
        runs = [run for run in self.runs.all() if run.name.startswith(prefix)]
        return sum(run.status().counts.pages for run in runs)

    def close(self) -> None:
        """End everything."""
        self.runs.stop_all()
        self.crew.stop()


@contextmanager
def bench(processes: int, **crawl: float) -> Iterator[Bench]:
    """A crew with so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(Path(folder), processes, **crawl)
        try:
            yield made
        finally:
            made.close()


def until(holds: Callable[[], object], patience_s: float = 120.0) -> float:
    """Wait for that. Returns how many seconds it took."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() > began_s + patience_s:
            raise SystemExit("it did not happen in time")
        gevent.sleep(0.002)
    return time.monotonic() - began_s


def cpu_s(pid: int) -> float:
    """The seconds of processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def at(base: str, address: str) -> str:
    """The first page of the site at an address."""
    return f"http://{address}:{urlsplit(base).port}/p/0.html"


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
        zygote = made.crew._spawner
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


def orphans() -> Sequence[Row]:
    """From the kill of a worker to the end of its last process."""
    took = []
    for _ in range(ROUNDS):
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.crew", "--wait"], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        files = [os.pidfd_open(pid) for pid in pids]
        began_s = time.monotonic()
        worker.send_signal(signal.SIGKILL)
        for file in files:
            gevent.socket.wait_read(file, timeout=10.0)
        took.append(time.monotonic() - began_s)
        worker.wait()
        for file in files:
            os.close(file)
    return [
        Row(
            "worker SIGKILL: no process of its crew alive after",
            f"{max(took) * 1000:.0f} ms, worst of {ROUNDS}",
            "<= 100 ms",
            max(took) <= 0.1,
            {"took_s": took},
        )
    ]


def _wait() -> None:
    """Be a worker with a crew that computes, until somebody ends it."""
    with served() as base, bench(4) as made:
        for address in ADDRESSES:
            made.start(address, "following", at(base, address))
        until(lambda: made.pages() > 100)
        assert made.crew._spawner is not None
        print(made.crew._spawner.pid, *made.pids(), flush=True)
        gevent.sleep(3600)


def runaway() -> Sequence[Row]:
    """A regular expression without end in one task of a hundred."""
    limit_s, before, after = 2.0, 0, 0
    with served() as base, bench(2, callback_limit_s=limit_s) as made:
        for number in range(99):
            address = ADDRESSES[number % len(ADDRESSES)]
            made.start(f"t{number}", "following", at(base, address), delay_s=0.2)
        until(lambda: made.pages("t") > 200)
        first = made.pages("t")
        gevent.sleep(WATCHED_S)
        before = made.pages("t") - first
        made.start("runaway", "runaway", at(base, ADDRESSES[0]))
        doomed_run = made.runs.of("runaway")
        until(lambda: getattr(doomed_run, "process", None))
        killed_s = until(lambda: doomed_run.ended)
        report = doomed_run.status()
        others = [run for run in made.runs.all() if run.name != "runaway"]
        hit = [run for run in others if run.ended]
        first = sum(run.status().counts.pages for run in others if not run.ended)
        gevent.sleep(WATCHED_S)
        after = sum(run.status().counts.pages for run in others if not run.ended) - first
    share = (after / max(1, len(others) - len(hit))) / (before / len(others))
    return [
        Row(
            "a regular expression without end: pages of the other processes' tasks",
            f"{share:.0%} of what they had; killed after {killed_s:.1f} s with a limit of"
            f" {limit_s:g} s; {'charged' if report.charged else 'NOT charged'}, {len(hit)} others"
            " interrupted",
            ">= 95 %",
            share >= 0.95 and report.charged,
            {"share": share},
        )
    ]


ROWS: dict[str, Callable[[], Sequence[Row]]] = {
    "throughput": throughput,
    "counts": counts,
    "starts": starts,
    "memory": memory,
    "orphans": orphans,
    "runaway": runaway,
}


if __name__ == "__main__":
    logs.setup("error", "text")
    if sys.argv[1:] == ["--wait"]:
        _wait()
        sys.exit(0)
    sys.exit(report(ROWS, sys.argv[1:], RESULT))
