"""What the web page costs: `make bench-dashboard`.

The cluster is one of real processes with 10,000 tasks. The page of the tasks is asked for, one
request after the other. Then 200 browsers watch it, while some tasks change each second: the
processor time of the leader is compared with that of the same changes when nobody watches.
"""

from __future__ import annotations

import statistics
import sys

from crawler.runtime import prepare

prepare()

import itertools  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from contextlib import closing, contextmanager  # noqa: E402
from http.client import HTTPConnection, HTTPResponse  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from bench.table import Row, report  # noqa: E402
from crawler.api.backend import Call  # noqa: E402
from crawler.api.rpc.client import Client  # noqa: E402
from crawler.local.cluster import LocalCluster  # noqa: E402
from crawler.model.records import Spec  # noqa: E402

TASKS = 10_000
PAGES = 30
MOST_PAGE_S = 0.150
MOST_PAGE_BYTES = 100_000
BROWSERS = 200
MOST_SHARE = 0.05
"""Of a core: what the browsers may cost the leader."""
WATCHED_S = 30.0
CHANGES = 4
"""How many tasks change each second."""
LEAST_MARGIN = 0.9
"""Of the lease's margin when nobody watches."""
TICKS = os.sysconf("SC_CLK_TCK")
CALL = Call(20.0)
TO = Path("dashboard.json")


class Leader:
    """A cluster with its only master, and 10,000 tasks that wait."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.master = cluster.masters[0]
        self.client = Client(self.master.grpc)
        pool = Pool(32)
        for number in range(TASKS):
            spec = Spec(f"task-{number:05d}", "nowhere", {}, {"team": "ab"[number % 2]})
            pool.spawn(self.client.submit, spec, CALL, True)
        pool.join()

    def close(self) -> None:
        """Close the client."""
        self.client.close()

    def get(self, path: str) -> HTTPResponse:
        """Ask for a path."""
        connection = HTTPConnection(self.master.http, timeout=60)
        connection.request("GET", path, headers={"Accept": "text/html"})
        return connection.getresponse()

    def metric(self, name: str) -> float:
        """Return a number that the leader tells."""
        with closing(self.get("/metrics")) as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        assert found, name
        return float(found[1])

    def cpu_s(self) -> float:
        """Return the processor time that its process has used."""
        stat = Path(f"/proc/{self.master.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """Return the bytes of memory that its process has."""
        return int(Path(f"/proc/{self.master.process.pid}/statm").read_text().split()[1]) * 4096

    def changing(self) -> None:
        """Change tasks, some each second, until it is killed."""
        for number in itertools.count():
            name = f"task-{number // 2 % CHANGES:05d}"
            (self.client.resume if number % 2 else self.client.pause)(name, CALL)
            gevent.sleep(1 / CHANGES)


def pages(leader: Leader) -> Sequence[Row]:
    """How long a page of 10,000 tasks takes, and how large it is."""
    route = 'crawler_http_seconds_{}{{method="GET",route="/dashboard/tasks",status="200"}}'
    rows = []
    for title, query in (
        ("first page", ""),
        ("by state, then name", "?sort=-state"),
        ("found by a search", "?search=99"),
    ):
        sizes: list[int] = []
        spent_s: list[float] = []
        for _ in range(PAGES):
            began_s = leader.metric(route.format("sum")) if sizes else 0.0
            with closing(leader.get(f"/dashboard/tasks{query}")) as answer:
                sizes.append(len(answer.read()))
            if began_s:
                spent_s.append(leader.metric(route.format("sum")) - began_s)
        took_s, size = statistics.median(spent_s), max(sizes)
        holds = took_s <= MOST_PAGE_S and size <= MOST_PAGE_BYTES
        told = f"{took_s * 1000:.0f} ms, {size / 1000:.0f} kB"
        bound = f"<= {MOST_PAGE_S * 1000:.0f} ms, {MOST_PAGE_BYTES / 1000:.0f} kB"
        rows.append(Row(f"10,000 tasks, {title}", told, bound, holds, {"s": spent_s}))
    return rows


@contextmanager
def watched(leader: Leader, count: int, reads: bool = True) -> Iterator[list[int]]:
    """Let so many browsers watch the tasks. Yields how many bytes each has read."""
    read = [0] * count
    answers = [leader.get("/dashboard/tasks/live") for _ in range(count)]

    def watch(number: int) -> None:
        while data := answers[number].read1(65536):
            read[number] += len(data)

    readers = [gevent.spawn(watch, number) for number in range(count)] if reads else []
    try:
        yield read
    finally:
        gevent.killall(readers)
        for each in answers:
            each.close()


def watching(leader: Leader) -> Sequence[Row]:
    """What 200 browsers cost the leader."""
    changes = gevent.spawn(leader.changing)
    quiet_s, quiet_margin_s = _spent(leader)
    with watched(leader, BROWSERS) as read:
        _until(lambda: all(read))
        spent_s, margin_s = _spent(leader)
    changes.kill()
    share, ratio = (spent_s - quiet_s) / WATCHED_S, margin_s / quiet_margin_s
    figures = {"with_s": spent_s, "without_s": quiet_s, "bytes": sum(read)}
    bound = f"<= {MOST_SHARE:.0%} of a core"
    told = f"{share:.1%} of a core; each got {statistics.median(read) / 1000:.0f} kB"
    title = f"{BROWSERS} browsers watch, {CHANGES} tasks change a second"
    return [
        Row(title, told, bound, share <= MOST_SHARE, figures),
        Row(
            "margin of the leader's lease beside that",
            f"{margin_s:.2f} s, alone {quiet_margin_s:.2f} s",
            f">= {LEAST_MARGIN:.0%}",
            ratio >= LEAST_MARGIN,
        ),
    ]


def _spent(leader: Leader) -> tuple[float, float]:
    """Return the leader's processor time while it is watched, and the least margin of its lease."""
    leader.metric("crawler_lease_margin")  # it is the least one since the last time
    began_s = leader.cpu_s()
    gevent.sleep(WATCHED_S)
    return leader.cpu_s() - began_s, leader.metric("crawler_lease_margin")


def _until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until_s, "not all browsers see the page"
        gevent.sleep(0.1)


def silent(leader: Leader) -> Sequence[Row]:
    """What browsers cost that read nothing."""
    changes = gevent.spawn(leader.changing)
    before = leader.memory()
    with watched(leader, BROWSERS, reads=False):
        gevent.sleep(2 * WATCHED_S)
        grown = leader.memory() - before
    changes.kill()
    told = f"{grown / 1e6:.1f} MB in {2 * WATCHED_S:.0f} s"
    return [Row(f"{BROWSERS} browsers that read nothing", told, "<= 20 MB", grown <= 20e6)]


def main() -> int:
    """Measure, print and write; 1 when a bound was missed."""
    with (
        LocalCluster(None, masters=1, workers=1) as cluster,
        closing(Leader(cluster)) as leader,
    ):
        measured = {"pages": pages, "watching": watching, "silent": silent}
        rows = {name: lambda each=each: each(leader) for name, each in measured.items()}
        return report(rows, sys.argv[1:], TO)


if __name__ == "__main__":
    sys.exit(main())
