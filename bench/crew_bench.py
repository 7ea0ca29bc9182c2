"""A worker's crew with its runs, without a cluster, for the benchmarks of crawl processes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from crawler.runtime import prepare

prepare()

import gevent  # noqa: E402  # after what it may not precede

from bench.contenders.common import SPIDER  # noqa: E402
from crawler.clock import SystemClock  # noqa: E402
from crawler.model.records import Resource, Spec  # noqa: E402
from crawler.node.crew.process import CrawlProcess  # noqa: E402
from crawler.node.crew.processes import Processes  # noqa: E402
from crawler.node.worker.runs import Runs  # noqa: E402
from crawler.settings.crawl import CrawlSettings  # noqa: E402
from crawler.settings.sections import LogSettings, Settings  # noqa: E402
from crawler.settings.worker import WorkerSettings  # noqa: E402

COUNTED = 1000
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
LEAKY = """
import time
from crawler import Spider

class Leaky(Spider):
    name = "leaky"
    kept = []

    def parse(self, response):
        for _ in range(600):
            self.kept.append(b"x" * 10_000_000)
            time.sleep(0.1)
"""


class Bench:
    """A worker's crew and runs, without a cluster."""

    def __init__(self, folder: Path, processes: int, memory: int = 0, **crawl: float) -> None:
        """`memory` is the setting `worker.process_memory`, in bytes."""
        spiders = SPIDER.format(package="crawler") + IDLERS + RUNAWAY + LEAKY
        (folder / "spiders.py").write_text(spiders)
        worker = WorkerSettings(
            processes=processes, process_memory=memory, private_targets=["127.0.0.0/8"]
        )
        pace = {"delay_s": 0.0, "host_concurrency": 64, "concurrency": 64, **crawl}
        settings = Settings(
            worker=worker,
            crawl=CrawlSettings(**pace),  # type: ignore[arg-type]
            spiders=["spiders.py"],
            folder=str(folder),
            logs=LogSettings(level="error", style="text"),
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

    def start(self, name: str, spider: str, url: str, epoch: int = 1, **settings: float) -> None:
        """Start a task."""
        parameters = {"start_urls": [url], "settings": settings}
        self.runs.start(Resource(Spec(name, spider, parameters), id=name, epoch=epoch))

    def pages(self, prefix: str = "") -> int:
        """What the tasks of such names have fetched."""
        runs = [run for run in self.runs.all() if run.name.startswith(prefix)]
        return sum(run.status().counts.pages for run in runs)

    def close(self) -> None:
        """End everything."""
        self.runs.stop_all()
        self.crew.stop()


@contextmanager
def bench(processes: int, memory: int = 0, **crawl: float) -> Iterator[Bench]:
    """A crew with so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        made = Bench(Path(folder), processes, memory, **crawl)
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
