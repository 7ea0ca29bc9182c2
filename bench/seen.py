"""Memory and speed of the set of seen requests (crawler/engine/frontier/seen.py).

    python -m bench.seen [MILLIONS]
    python -m bench.engine seen

Fills it with so many million fingerprints (ten if not told), then asks for as many, half of them
known; last with URLs, whose canonical form and hash are worked out on the way. Memory is the growth
of the process at its highest while the set is filled.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import repeat

from bench.table import Row, print_rows
from crawler.engine.frontier.seen import Seen
from crawler.engine.http import urls

URLS = 1_000_000


def peak_bytes() -> int:
    """The highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rate(step: Callable[[], object], times: int) -> float:
    """How often a second something is done that takes place `times` times in one step."""
    started_s = time.perf_counter()
    step()
    return times / (time.perf_counter() - started_s)


def marks(seed: int, count: int) -> Iterable[int]:
    """So many fingerprints; the same for the same seed."""
    return map(random.Random(seed).getrandbits, repeat(64, count))


def fill(seen: Seen, found: Iterable[int]) -> int:
    """Take them in; the longest time on the processor that one of them took, in nanoseconds."""
    worst, last = 0, time.thread_time_ns()
    for mark in found:
        seen.add(mark)
        now = time.thread_time_ns()
        worst = max(worst, now - last)
        last = now
    return worst


def check(seen: Seen, found: Iterable[int]) -> None:
    """Add each of them."""
    add = seen.add
    for mark in found:
        add(mark)


def add_urls(seen: Seen) -> None:
    """The way of a URL into the set."""
    for number in range(URLS):
        seen.add(urls.fingerprint(f"http://127.0.0.1:8000/shop/{number % 50}/book-{number}.html"))


def measure(millions: int) -> dict[str, float]:
    """The figures of this process."""
    count = millions * 1_000_000
    seen = Seen()
    before = peak_bytes()
    worst_ns = fill(seen, marks(1, count))
    grown = peak_bytes() - before
    drawing = rate(lambda: sum(marks(1, count // 2)), count // 2)
    known = rate(lambda: check(seen, marks(1, count // 2)), count // 2)
    fresh = rate(lambda: check(seen, marks(2, count // 2)), count // 2)
    return {
        "fingerprints": count,
        "mb": grown / 1e6,
        "longest_ms": worst_ns / 1e6,
        "known_per_s": 1 / (1 / known - 1 / drawing),
        "new_per_s": 1 / (1 / fresh - 1 / drawing),
        "urls_per_s": rate(lambda: add_urls(seen), URLS),
    }


def rows(millions: int = 10) -> list[Row]:
    """The figures of a process of their own, with their bounds."""
    command = [sys.executable, "-m", "bench.seen", str(millions), "--json"]
    figures = json.loads(subprocess.check_output(command, text=True))
    size, speed = figures["mb"], min(figures["known_per_s"], figures["new_per_s"])
    most = 24 * millions
    return [
        Row(f"{millions} million seen URLs", f"{size:.0f} MB", f"<= {most} MB", size <= most),
        Row(
            "checks of new fingerprints, of known ones",
            f"{figures['new_per_s']:,.0f}/s, {figures['known_per_s']:,.0f}/s",
            ">= 500,000/s",
            speed >= 500_000,
            figures,
        ),
        Row("checks from a new URL on", f"{figures['urls_per_s']:,.0f}/s"),
        Row("longest wait for a check", f"{figures['longest_ms']:.2f} ms"),
    ]


if __name__ == "__main__":
    millions = int(sys.argv[1]) if sys.argv[1:] else 10
    if sys.argv[2:] == ["--json"]:
        print(json.dumps(measure(millions)))
    else:
        print_rows(rows(millions))
