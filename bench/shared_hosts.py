"""Politeness over several workers: whether hosts that they share keep their rate, and none is asked
too early.

    python -m bench.shared_hosts [SECONDS] [HOSTS] [WORKERS]

Each worker is a process with a task of its own for the same hosts. They share a Redis. The server
that all hosts are alone says when a request arrived.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.hosts import DELAY_S, address, early
from bench.table import Row, print_rows

LEAST_SHARE = 0.95


@contextmanager
def redis() -> Iterator[int]:
    """A Redis of its own; its port."""
    from crawler.local.ports import free_ports

    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
        command = ["redis-server", *options, "--appendonly", "yes", "--loglevel", "warning"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield port
        finally:
            process.kill()
            process.wait()


def crawl(redis_port: int, port: int, hosts: int, seconds: float, name: str, turn: int) -> None:
    """Crawl for that long, as one of several workers, and print when it began and ended."""
    from crawler.runtime import prepare

    prepare()
    import gevent

    from crawler import Request, Spider
    from crawler.engine.engine import Engine
    from crawler.engine.frontier.redis_access import Access
    from crawler.engine.frontier.redis_server import RedisServer
    from crawler.engine.items.sinks.json_lines import JsonLinesSink
    from crawler.engine.politeness.redis_host_functions import CODE
    from crawler.engine.politeness.redis_host_register import RedisHostRegister
    from crawler.engine.politeness.robots_shelf import RedisRobotsShelf
    from crawler.engine.politeness.sharing import SharedHosts
    from crawler.model.records import Spec
    from crawler.settings import redis_url
    from crawler.settings.crawl import CrawlSettings

    sites = [f"http://{address(n)}:{port}" for n in range(hosts)]

    class Visits(Spider):
        name = "visits"

        def start(self) -> Iterator[Request]:
            for page in range(int(seconds / DELAY_S) + 2):
                for site in sites:
                    yield Request(f"{site}/{turn}/{page}", priority=-page)

        def parse(self, response: Any) -> None:
            """What the page says does not matter here."""

    url = redis_url.parsed(f"redis://127.0.0.1:{redis_port}/0")
    server = RedisServer(Access(url), libraries=[CODE])
    engine = Engine(
        CrawlSettings(delay_s=DELAY_S, robots=False),
        {"visits": Visits},
        private_targets=["127.0.0.0/8"],
        shared_hosts=SharedHosts(RedisHostRegister(server), RedisRobotsShelf(server), name),
    )
    engine.start()
    it = engine.crawl(Spec("visits"), JsonLinesSink(Path("/dev/null")))
    began_s = time.monotonic()
    running = gevent.spawn(it.run)
    gevent.sleep(seconds)
    ended_s = time.monotonic()
    it.stop()
    running.join(5)
    engine.stop()
    print(json.dumps({"began": began_s, "ended": ended_s, "pages": it.counts.pages}))


def measure(workers: int, hosts: int, seconds: float, kills: bool = False) -> dict[str, Any]:
    """So many workers at once. With `kills`, one of them is killed at half of the time."""
    command = [sys.executable, "-m", "bench.shared_hosts", "crawl"]
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.hosts", "serve"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        with redis() as redis_port:
            told = [
                json.dumps([redis_port, port, hosts, seconds, f"worker-{number}", number])
                for number in range(workers)
            ]
            running = [
                subprocess.Popen([*command, each], stdout=subprocess.PIPE, text=True)
                for each in told
            ]
            if kills:
                time.sleep(seconds / 2)
                os.kill(running.pop().pid, signal.SIGKILL)
            ran = [json.loads(each.communicate()[0].splitlines()[-1]) for each in running]
            used = _redis_cpu_s(redis_port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/report") as answer:
            return _figures(json.load(answer), ran, hosts, used)
    finally:
        server.terminate()
        server.wait()


def _redis_cpu_s(port: int) -> float:
    told = subprocess.check_output(
        ["redis-cli", "-p", str(port), "info", "cpu"], text=True
    ).splitlines()
    values = dict(line.split(":") for line in told if ":" in line)
    return float(values["used_cpu_user"]) + float(values["used_cpu_sys"])


def _figures(
    seen: Mapping[str, Sequence[float]],
    ran: Sequence[Mapping[str, float]],
    hosts: int,
    redis_s: float,
) -> dict[str, Any]:
    began_s = max(each["began"] for each in ran)
    ended_s = min(each["ended"] for each in ran)
    ideal = (ended_s - began_s) / DELAY_S
    counts = sorted(
        sum(began_s <= at_s < ended_s for at_s in times) / ideal for times in seen.values()
    )
    return {
        "share": sum(counts) / hosts,
        "least_share_of_a_host": counts[0],
        **early(seen),
        "pages": [each["pages"] for each in ran],
        "redis_us_a_page": redis_s * 1e6 / sum(map(len, seen.values())),
    }


def rows(seconds: float = 60.0, hosts: int = 200, workers: int = 4) -> list[Row]:
    """Workers with a task each for the same hosts; and the same with one that is killed."""
    got = measure(workers, hosts, seconds)
    pages = ", ".join(f"{each:,}" for each in got["pages"])
    killed = measure(workers, hosts, seconds, kills=True)
    return [
        Row(
            f"{workers} tasks for the same {hosts} hosts on {workers} workers, {DELAY_S:g} s",
            f"{got['share']:.1%} of the ideal rate, of a host at least"
            f" {got['least_share_of_a_host']:.1%}, {_told(got)}; pages of each: {pages};"
            f" {got['redis_us_a_page']:.0f} us of Redis a page",
            bound=f"{LEAST_SHARE:.0%} of each host, none early, each task served",
            holds=got["least_share_of_a_host"] >= LEAST_SHARE
            and not got["early"]
            and min(got["pages"]) > 0,
            figures=got,
        ),
        Row(
            "and one worker is killed at half of the time",
            f"{killed['share']:.1%} of the ideal rate, {_told(killed)}",
            bound="none early",
            holds=not killed["early"],
            figures=killed,
        ),
    ]


def _told(got: Mapping[str, Any]) -> str:
    return f"{got['early']} early (shortest gap {got['shortest_gap_ms']:.1f} ms)"


if __name__ == "__main__":
    if sys.argv[1:2] == ["crawl"]:
        crawl(*json.loads(sys.argv[2]))
    else:
        given = [float(each) for each in sys.argv[1:]]
        defaults = [60.0, 200, 4]
        seconds, hosts, workers = [*given, *defaults[len(given) :]]
        print_rows(rows(seconds, int(hosts), int(workers)))
