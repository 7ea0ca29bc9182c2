"""Memory and speed of the requests that wait, all in memory and with most of them on disk.

    python -m bench.pending [HOSTS]
    python -m bench.engine pending

A million requests are admitted, of one huge host and many others, then all are taken out again.
Others run meanwhile, every millisecond: how long they have to wait is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from bench.seen import peak_bytes
from bench.table import Row, print_rows

COUNT = 1_000_000
KINDS = {"all in memory": COUNT, "100,000 in memory": 100_000}


def found(hosts: int) -> Iterator[str]:
    """The URLs: one half of one host, the others spread."""
    for number in range(COUNT // 2):
        yield f"http://huge.example/department/{number % 100}/product-{number}.html"
        yield f"http://host-{number % hosts}.example/articles/{number}.html"


def measure(max_pending: int, hosts: int) -> dict[str, float]:
    """The figures of this process."""
    from crawler.runtime import prepare

    prepare()
    import gevent

    from crawler.clock import SystemClock
    from crawler.engine.crawl.time_slice import TimeSlice
    from crawler.engine.frontier.frontier import Frontier
    from crawler.engine.http.request import Request
    from crawler.settings.crawl import CrawlSettings

    waits: list[float] = []

    def other() -> None:
        while True:
            began_s = time.perf_counter()
            gevent.sleep(0.001)
            waits.append(time.perf_counter() - began_s)

    clock = SystemClock()
    pace = TimeSlice(clock)
    frontier = Frontier(CrawlSettings(max_pending=max_pending), clock.monotonic)
    watching = gevent.spawn(other)
    before, began_s = peak_bytes(), time.perf_counter()
    for url in found(hosts):
        if refusal := frontier.admit(Request(url, "parse_page", meta={"from": "bench"}), 1):
            raise SystemExit(f"{url} is refused: {refusal}")
        pace.give_way()
    filled_s = time.perf_counter() - began_s
    peak, taken = peak_bytes() - before, 0
    began_s = time.perf_counter()
    while queue := frontier.due():
        frontier.pop(queue)
        frontier.put(queue, 0.0)
        frontier.forget(queue)
        taken += 1
        pace.give_way()
    if taken != COUNT or len(frontier):
        raise SystemExit(f"{taken} of {COUNT} came out, {len(frontier)} are left")
    drained_s = time.perf_counter() - began_s
    watching.kill()
    waits.sort()
    return {
        "mb": peak / 1e6,
        "in_us": filled_s / COUNT * 1e6,
        "out_us": drained_s / COUNT * 1e6,
        "wait_p999_ms": waits[int(len(waits) * 0.999)] * 1e3,
        "wait_max_ms": waits[-1] * 1e3,
    }


def rows(hosts: int = 100_000) -> list[Row]:
    """Both kinds, each in a process of its own."""
    return [_row(title, most, hosts) for title, most in KINDS.items()]


def _row(title: str, max_pending: int, hosts: int) -> Row:
    command = [sys.executable, "-m", "bench.pending", str(hosts), str(max_pending)]
    got = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    return Row(
        f"{COUNT:,} pending requests of {hosts + 1:,} hosts, {title}",
        f"{got['mb']:.0f} MB, {got['in_us']:.0f} us in, {got['out_us']:.0f} us out,"
        f" others wait {got['wait_p999_ms']:.0f} ms (p99.9), {got['wait_max_ms']:.0f} ms (most)",
        figures=got,
    )


if __name__ == "__main__":
    hosts = int(sys.argv[1]) if sys.argv[1:] else 100_000
    if sys.argv[2:]:
        print(json.dumps(measure(int(sys.argv[2]), hosts)))
    else:
        print_rows(rows(hosts))
