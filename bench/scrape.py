"""What a scrape of a busy worker's /metrics holds up.

    python -m bench.scrape [CRAWLS SITES]
    python -m bench.engine scrape

All metrics of a worker that has so many runs, and so many crawls with requests for so many sites. A
greenlet that wants its turn all the time notes for how long it had none, in seconds of processor:
so long every other crawl waits. Compared with making the statistics of each crawl once, as a
listing of the crawls does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gevent

from bench.table import Row, print_rows
from crawler import Request, Spider
from crawler.clock import SystemClock, give_turn
from crawler.engine.crawl.crawl import Crawl
from crawler.engine.engine import Engine
from crawler.engine.items.sinks.factory import Sinks
from crawler.engine.items.sinks.many import ManySinks
from crawler.metrics import Metrics
from crawler.model.records import Resource, Spec
from crawler.node.crew.in_process import InProcess
from crawler.node.run.states import States
from crawler.node.worker.epochs import Epochs
from crawler.node.worker.measures import measure_worker
from crawler.node.worker.runs import Runs
from crawler.settings.crawl import CrawlSettings

MOST_MS = 5.0
"""No slice of a scrape may be longer."""
ROUNDS = 20


class Busy(Spider):
    """Stands for the spiders of a worker."""

    name = "busy"
    start_urls = ("http://h.test/",)


def crawls_of(engine: Engine, count: int, sites: int) -> list[Crawl]:
    """Crawls that have begun, and have found pages, failures and links of many sites."""
    crawls = []
    for number in range(count):
        crawl = engine.crawl(Spec(f"task-{number}", "busy"), ManySinks([]))
        counters = crawl.counters
        counters.timing.begin()
        counters.pages = counters.items = 1000
        for reason in ("HTTP 404", "timeout", "dns"):
            counters.fail(reason, "http://h.test/")
        for reason in ("duplicate", "offsite", "robots", "depth"):
            counters.filter(reason, "http://h.test/")
        for site in range(sites):
            crawl._frontier.admit(Request(f"http://h{site}.test/{number}"), 0)
        crawls.append(crawl)
    return crawls


def longest_wait_ms(step: Callable[[], object]) -> tuple[float, float]:
    """How long a step takes, and the longest time that others had no turn: medians."""
    took, waits = [], []
    for _ in range(ROUNDS):
        gaps = [0.0]
        ticker = gevent.spawn(_note_gaps, gaps)
        give_turn()
        began_s = time.thread_time()
        step()
        took.append(time.thread_time() - began_s)
        give_turn()
        ticker.kill()
        waits.append(max(gaps))
    return 1000 * sorted(took)[ROUNDS // 2], 1000 * sorted(waits)[ROUNDS // 2]


def _note_gaps(gaps: list[float]) -> None:
    last_s = time.thread_time()
    while True:
        give_turn()
        now_s = time.thread_time()
        gaps.append(now_s - last_s)
        last_s = now_s


def measure(count: int, sites: int) -> dict[str, float]:
    """The figures of this process."""
    clock = SystemClock()
    engine = Engine(CrawlSettings(), {"busy": Busy}, clock)
    kept = crawls_of(engine, count, sites)
    metrics = Metrics()
    states = States(Path("frontier"), clock)
    crew = InProcess(engine, Sinks({}), Path("items"), states)
    runs = Runs(crew, clock, lambda: None, most=0)
    for crawl in kept:
        runs.start(Resource(Spec(crawl.name, "busy")))
    measure_worker(metrics, crew, runs, states, Epochs())
    scrape_ms, wait_ms = longest_wait_ms(metrics.render)
    listing_ms, _ = longest_wait_ms(engine.statistics.all)
    assert engine.statistics.totals().sums["pages"] == 1000 * len(kept)
    return {"scrape_ms": scrape_ms, "longest_wait_ms": wait_ms, "listing_ms": listing_ms}


def rows(count: int = 1000, sites: int = 100) -> Sequence[Row]:
    """The figures of a process of their own, with their bounds."""
    command = [sys.executable, "-m", "bench.scrape", str(count), str(sites), "--json"]
    figures = json.loads(subprocess.check_output(command, text=True))
    wait_ms, listing_ms = figures["longest_wait_ms"], figures["listing_ms"]
    return [
        Row(
            f"a scrape of {count:,} crawls with {sites} sites each: the longest slice",
            f"{wait_ms:.1f} ms of {figures['scrape_ms']:.1f} ms; a listing: {listing_ms:.0f} ms",
            f"<= {MOST_MS:.0f} ms",
            wait_ms <= MOST_MS,
            figures,
        )
    ]


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:3]] or [1000, 100]
    if sys.argv[3:] == ["--json"]:
        print(json.dumps(measure(*numbers)))
    else:
        print_rows(rows(*numbers))
