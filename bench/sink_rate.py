"""How many items a second one sink takes, from the first `write` to the end of `close`.

    python -m bench.sink_rate jsonl | csv | parquet | sqlite | postgresql | mysql

Items have eight fields, one of them a list, some 300 bytes as JSON; each has a URL of its own. The
process runs as a node does (gevent, its switch interval); databases are real servers, started by
themselves in a temporary folder, without fsync: what is measured is our side and the network.
`late` is the longest time that the hub did not turn meanwhile, which delays all else of a worker.
"""

from __future__ import annotations

from crawler import runtime

runtime.prepare()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import pytest  # noqa: E402

from crawler.clock import give_turn  # noqa: E402
from crawler.engine.items.sinks.targets import open_sink  # noqa: E402
from tests.databases import MariaDb, Postgres, Server, started  # noqa: E402

ITEMS = 60_000
SLICE = 200
"""Items between two turns of the hub, as callbacks give them."""


def item(number: int) -> dict[str, Any]:
    """An item as shops have them."""
    return {
        "url": f"http://127.0.0.1:8100/book/{number}/",
        "title": f"The title of book number {number}",
        "price": number / 100,
        "stock": number % 50,
        "available": number % 3 == 0,
        "tags": ["fiction", "new"],
        "author": "Somebody Else",
        "description": "Some words that say what it is about. " * 3,
    }


def measure(target: str) -> tuple[float, float, float]:
    """Items a second, microseconds of CPU for each, and how long the hub did not turn at most."""
    sink = open_sink(target, "bench")
    sink.open()
    beats: list[float] = []
    beating = gevent.spawn(_beat, beats)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    for number in range(ITEMS):
        sink.write(item(number), f"http://127.0.0.1:8100/book/{number}/")
        if number % SLICE == 0:
            give_turn()
    sink.close()
    took_s = time.perf_counter() - began_s
    cpu_us = (time.process_time() - cpu_s) / ITEMS * 1e6
    beating.kill()
    return ITEMS / took_s, cpu_us, max(beats)


def _beat(beats: list[float]) -> None:
    last_s = time.perf_counter()
    while True:
        gevent.sleep(0.001)
        now_s = time.perf_counter()
        beats.append(now_s - last_s - 0.001)
        last_s = now_s


@contextmanager
def _server(kind: type[Server]) -> Iterator[str]:
    server = started(kind)
    try:
        yield server.url
    finally:
        server.remove()


@contextmanager
def _file(suffix: str) -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield str(Path(folder) / f"items.{suffix}")


ROWS: dict[str, Callable[[], Any]] = {
    "jsonl": lambda: _file("jsonl"),
    "csv": lambda: _file("csv"),
    "parquet": lambda: _file("parquet"),
    "sqlite": lambda: _file("db"),
    "postgresql": lambda: _server(Postgres),
    "mysql": lambda: _server(MariaDb),
}


def main(name: str) -> None:
    """Measure one sink and print what was found, as JSON."""
    try:
        with ROWS[name]() as target:
            rate, cpu_us, pause_s = measure(target)
    except pytest.skip.Exception as missing:
        print(json.dumps({"missing": str(missing)}))
    else:
        print(json.dumps({"items_per_s": rate, "cpu_us": cpu_us, "late_ms": pause_s * 1e3}))


if __name__ == "__main__":
    main(sys.argv[1])
