"""How many tasks a second a leader accepts, each one durable before it is acknowledged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from operator import truediv
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

from bench import scenes
from bench.ground import Ground, open_ground
from bench.nodes import open_master
from bench.table import Row

CONNECTIONS = 64
SECONDS = 12.0
PAIRS, PAIR_SECONDS = 5, 3.0
WORKERS = 10


def row() -> Row:
    """Tasks added by many connections at once, at a master of its own process."""
    with open_ground() as ground:
        ground.fill(scenes.plain_workers(WORKERS), {})
        with open_master(ground) as master:
            _margin(master.http)  # what the start cost is not of interest
            before_s = master.cpu_s
            seen = _load(master.http, SECONDS)
            seen["master_cpu_us"] = 1e6 * (master.cpu_s - before_s) / sum(seen["statuses"].values())
            seen["lease_margin"] = _margin(master.http)
        _check(ground, seen["statuses"])
    measured = (
        f"{seen['per_second']:,.0f}/s, p50 {seen['p50_ms']:.0f} ms, p99 {seen['p99_ms']:.0f} ms, "
        f"lease margin {seen['lease_margin']:.2f}, {seen['master_cpu_us']:.0f} µs of CPU each"
    )
    holds = seen["per_second"] >= 3_000 and seen["p99_ms"] <= 60 and seen["lease_margin"] >= 0.5
    title = f"POST /crawler/resource, {CONNECTIONS} connections, durable"
    return Row(title, measured, ">= 3,000/s, p99 <= 60 ms, lease margin >= 0.5", holds, seen)


def doors_row() -> Row:
    """The same with a token and without one, in turn, at the same master."""
    rates: dict[str, list[float]] = {"without": [], "with": []}
    with open_ground() as ground:
        ground.fill(scenes.plain_workers(WORKERS), {})
        with open_master(ground) as master:
            for number in range(PAIRS):
                seen = _load(master.http, PAIR_SECONDS, f"without-{number}")
                rates["without"].append(seen["per_second"])
                with _token(master.http) as token:
                    seen = _load(master.http, PAIR_SECONDS, f"with-{number}", token)
                rates["with"].append(seen["per_second"])
    share = median(map(truediv, rates["with"], rates["without"]))
    measured = f"{share:.0%}: " + ", ".join(
        f"{name} {median(found):,.0f}/s" for name, found in rates.items()
    )
    return Row(
        f"the same with a token, to without one, {PAIRS} pairs in turn",
        measured,
        ">= 95 %",
        share >= 0.95,
        {"share": share, **rates},
    )


@contextmanager
def _token(http: str) -> Iterator[str]:
    """A token of an operator, which counts until the context ends."""
    admin = _ask("POST", f"http://{http}/crawler/token", role="admin")
    text: str = admin["text"]
    made = _ask("POST", f"http://{http}/crawler/token", text, role="operator")
    try:
        yield made["text"]
    finally:
        for each in (made, admin):
            _ask("DELETE", f"http://{http}/crawler/token/{each['id']}", text)


def _ask(method: str, url: str, token: str = "", **body: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body else None
    with urlopen(Request(url, data, headers, method=method), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _load(http: str, seconds: float, prefix: str = "load", token: str = "") -> dict[str, Any]:
    host, _, port = http.partition(":")
    command = [sys.executable, "-m", "bench.load", host, port]
    command += [str(CONNECTIONS), str(seconds), prefix, *([token] if token else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _margin(http: str) -> float:
    """The least share of the lease that was left since it was last asked for."""
    with urlopen(f"http://{http}/metrics", timeout=10) as answer:
        found = re.search(r"^crawler_lease_margin (.+)$", answer.read().decode(), re.M)
    assert found  # every node tells it
    return float(found[1])


def _check(ground: Ground, statuses: dict[str, int]) -> None:
    """All was accepted, and is there."""
    assert set(statuses) == {"200"}, f"not all was accepted: {statuses}"
    stored = ground.store.range(ground.keys.resources).items
    tasks = [kv for kv in stored if ground.keys.resource_name(kv.key)]
    assert len(tasks) == statuses["200"], f"{statuses} acknowledged, {len(tasks)} stored"
