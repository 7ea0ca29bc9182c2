"""One task on several workers: how near to the ideal rate hosts are fetched while a worker dies.

    python -m bench.shared_task [SECONDS] [HOSTS] [WORKERS]

A whole cluster of processes: etcd, a master, the workers, a Redis. One worker is killed at half of
the time. Its hosts may rest until its lease has ended, and a second more. The server that all hosts
are alone says when a request arrived.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.hosts import DELAY_S, address, early
from bench.shared_hosts import redis
from bench.table import Row, print_rows

TTL_S = 5
WARM_S = 5.0
"""The seconds from the addition of the task to the beginning of what is measured."""
LEAST_SHARE = 0.97
AHEAD = 3
"""To how many later pages of its host a page links."""

SPIDER = """
from crawler import Request, Spider


class Visits(Spider):
    name = "visits"

    def start(self):
        for site in self.sites:
            yield Request(f"{site}/0")

    def parse(self, response):
        site, _, number = response.url.rpartition("/")
        for page in range(int(number) + 1, int(number) + 1 + AHEAD):
            yield Request(f"{site}/{page}", priority=-page)
""".replace("AHEAD", str(AHEAD))

CONFIG = """
coordination: {{lease_ttl_s: {ttl_s}}}
crawl: {{delay_s: {delay_s}, robots: false, concurrency: 1000, max_path_repeats: 1000}}
frontier: {{url: "redis://127.0.0.1:{redis}/0"}}
spiders: [visits.py]
worker: {{items: items}}
"""


def measure(workers: int, hosts: int, seconds: float) -> dict[str, Any]:
    """Run a task on so many workers for that long after it has begun, and kill one at half."""
    from crawler.local.cluster import LocalCluster

    server = subprocess.Popen(
        [sys.executable, "-m", "bench.hosts", "serve"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory() as folder, redis() as redis_port:
            (Path(folder) / "visits.py").write_text(SPIDER)
            config = Path(folder) / "config.yaml"
            config.write_text(CONFIG.format(ttl_s=TTL_S, delay_s=DELAY_S, redis=redis_port))
            with LocalCluster(str(config), masters=1, workers=workers) as cluster:
                began_s, killed_s, ended_s = _run(cluster, port, hosts, seconds)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report") as answer:
            seen: Mapping[str, Sequence[float]] = json.load(answer)
        return _figures(seen, hosts, workers, (began_s, killed_s, ended_s))
    finally:
        server.terminate()
        server.wait()


def _run(cluster: Any, port: int, hosts: int, seconds: float) -> tuple[float, float, float]:
    """Add the task, and kill a worker. Returns when it began, when that was, and when it ended."""
    sites = [f"http://{address(number)}:{port}" for number in range(hosts)]
    task = {"name": "visits", "parameters": {"sites": sites}, "workers": len(cluster.workers)}
    request = urllib.request.Request(
        f"http://{cluster.masters[0].http}/crawler/resource",
        json.dumps(task).encode(),
        {"content-type": "application/json"},
    )
    urllib.request.urlopen(request).close()
    time.sleep(WARM_S)
    began_s = time.monotonic()
    time.sleep(seconds / 2)
    cluster.workers[-1].process.kill()
    killed_s = time.monotonic()
    time.sleep(seconds / 2)
    return began_s, killed_s, time.monotonic()


def _figures(
    seen: Mapping[str, Sequence[float]],
    hosts: int,
    workers: int,
    moments: tuple[float, float, float],
) -> dict[str, Any]:
    began_s, killed_s, ended_s = moments
    gap = (TTL_S + 1.0) * hosts / workers / DELAY_S
    before = _between(seen, began_s, killed_s) / ((killed_s - began_s) / DELAY_S * hosts)
    after = _between(seen, killed_s, ended_s) / ((ended_s - killed_s) / DELAY_S * hosts - gap)
    return {"before": before, "after": after, "hosts": len(seen), **early(seen)}


def _between(seen: Mapping[str, Sequence[float]], from_s: float, to_s: float) -> int:
    return sum(from_s <= at_s < to_s for times in seen.values() for at_s in times)


def rows(seconds: float = 60.0, hosts: int = 1000, workers: int = 4) -> list[Row]:
    """One task on several workers, of which one is killed."""
    got = measure(workers, hosts, seconds)
    holds = min(got["before"], got["after"]) >= LEAST_SHARE and not got["early"]
    return [
        Row(
            f"one task on {workers} workers, {hosts} hosts, {DELAY_S:g} s, one killed at half",
            f"{got['before']:.1%} of the ideal rate, then {got['after']:.1%} but for a gap of"
            f" {TTL_S + 1} s of its hosts; {got['early']} early (shortest gap"
            f" {got['shortest_gap_ms']:.1f} ms)",
            bound=f"{LEAST_SHARE:.0%}, none early",
            holds=holds,
            figures=got,
        )
    ]


if __name__ == "__main__":
    given = [float(each) for each in sys.argv[1:]]
    defaults = [60.0, 1000, 4]
    seconds, hosts, workers = [*given, *defaults[len(given) :]]
    print_rows(rows(seconds, int(hosts), int(workers)))
