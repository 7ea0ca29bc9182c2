"""A task whose worker is killed at half: what that costs, and when it goes on at another worker.

    python -m bench.elsewhere

A whole cluster of processes: etcd, a master, two workers, a Redis. The site counts its requests.
"""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.pages import PAGES, asked, served
from bench.shared_hosts import redis
from bench.table import Row, print_rows

TTL_S = 5
MOST_S = TTL_S + 2.0
"""The seconds after which the task must go on elsewhere."""
UNDER_WAY_S = 0.5
"""What a killed worker has asked for arrives within that time."""
PATIENCE_S = 300.0

SPIDER = """
from crawler import Spider


class Pages(Spider):
    name = "pages"

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all(css="a")
"""

CONFIG = """
coordination: {{lease_ttl_s: {ttl_s}}}
crawl: {{delay_s: 0, robots: false, concurrency: 32, host_concurrency: 32}}
frontier: {{url: "redis://127.0.0.1:{redis}/0"}}
spiders: [pages.py]
worker: {{items: items, private_targets: [127.0.0.0/8]}}
"""


def measure() -> dict[str, Any]:
    """Kill the worker of a task at half, and let the task come to its end."""
    from crawler.items import items_of
    from crawler.local.cluster import LocalCluster

    with tempfile.TemporaryDirectory() as name, served() as base, redis() as redis_port:
        folder = Path(name)
        (folder / "pages.py").write_text(SPIDER)
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(ttl_s=TTL_S, redis=redis_port))
        with LocalCluster(str(config), masters=1, workers=2) as cluster:
            after_s = _run(cluster, base)
        counts = asked(base)
        urls = [item["url"] for item in items_of("pages", folder / "items")]
    return {
        "lost": PAGES - len(set(urls)),
        "again": sum(counts) - PAGES,
        "doubled": len(urls) - len(set(urls)),
        "after_s": after_s,
    }


def _run(cluster: Any, base: str) -> float:
    """Crawl, and kill. Returns after how many seconds the other worker has asked for something."""
    resource = f"http://{cluster.masters[0].http}/crawler/resource"
    body = json.dumps({"name": "pages", "parameters": {"start_urls": [f"{base}/p/0.html"]}})
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(resource, body.encode(), headers)).close()
    _wait(lambda: sum(asked(base)) >= PAGES // 2)
    owner = _told(f"{resource}/pages")["assignedNode"].partition("|")[0]
    next(each for each in cluster.workers if owner.endswith(f"-{each.name}")).process.kill()
    killed_s = time.monotonic()
    time.sleep(UNDER_WAY_S)
    before = sum(asked(base))
    _wait(lambda: sum(asked(base)) > before)
    after_s = time.monotonic() - killed_s
    _wait(lambda: _told(f"{resource}/pages")["state"] == "done")
    return after_s


def _told(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def _wait(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > until_s:
            raise TimeoutError("the cluster does not get there")
        time.sleep(0.02)


def rows() -> Sequence[Row]:
    """A task of which the worker is killed at half."""
    got = measure()
    return [
        Row(
            f"{PAGES:,} pages, worker killed at half: lost / fetched again / items doubled / going"
            " on elsewhere after",
            f"{got['lost']} / {got['again']} / {got['doubled']} / {got['after_s']:.1f} s",
            f"0 / <= 300 / 0 / <= {MOST_S:g} s",
            not got["lost"]
            and got["again"] <= 300
            and not got["doubled"]
            and got["after_s"] <= MOST_S,
            got,
        )
    ]


if __name__ == "__main__":
    print_rows(rows())
