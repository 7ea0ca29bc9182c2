"""What the command line costs before it says anything: `make bench-startup`.

Processor time of whole processes, Python itself included, in turns in one run. A machine that is
twice as slow needs twice as long for Python itself as well: compare the ratios.
"""

from __future__ import annotations

import statistics
import sys

from crawler.runtime import prepare

prepare()

import resource  # noqa: E402
import subprocess  # noqa: E402
from collections.abc import Mapping, Sequence  # noqa: E402
from contextlib import closing  # noqa: E402
from pathlib import Path  # noqa: E402

from bench.table import Row, as_json, print_rows, write  # noqa: E402
from crawler.api.backend import Call  # noqa: E402
from crawler.api.rpc.client import Client  # noqa: E402
from crawler.local.cluster import LocalCluster  # noqa: E402
from crawler.model.records import Spec  # noqa: E402

ROUNDS = 15
TASKS = 20
PYTHON = "python -c pass"
CRAWLER = (sys.executable, "-m", "crawler")
BOUNDS_S = {"--version": 0.15, "--help": 0.15, "tasks": 0.5}
TO = Path("startup.json")


def main() -> int:
    """Measure, print and write; 1 when a bound was missed."""
    with LocalCluster(None, masters=1, workers=1) as cluster:
        address = cluster.masters[0].grpc
        with closing(Client(address)) as client:
            for number in range(TASKS):
                client.submit(Spec(f"task-{number}"), Call(5.0))
        options = {option: (*CRAWLER, option) for option in ("--version", "--help")}
        commands = {**options, "tasks": (*CRAWLER, "tasks", "--master", address)}
        found = _measured({PYTHON: (sys.executable, "-c", "pass"), **commands})
    bare_s = statistics.median(found.pop(PYTHON))
    rows = [Row(PYTHON, f"{bare_s:.3f} s"), *(_row(name, s, bare_s) for name, s in found.items())]
    print_rows(rows)
    write(TO, {"rows": as_json(rows)})
    return int(any(row.holds is False for row in rows))


def _measured(commands: Mapping[str, Sequence[str]]) -> dict[str, Sequence[float]]:
    """Processor seconds of each command, in each round; the first of all fills the caches."""
    rounds = [{name: _cpu_s(command) for name, command in commands.items()} for _ in range(ROUNDS)]
    return {name: [each[name] for each in rounds[1:]] for name in commands}


def _cpu_s(command: Sequence[str]) -> float:
    """The processor seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _row(name: str, seconds: Sequence[float], bare_s: float) -> Row:
    median_s, most_s = statistics.median(seconds), BOUNDS_S[name]
    return Row(
        f"crawler {name}",
        f"{median_s:.3f} s ({min(seconds):.3f} to {max(seconds):.3f}), "
        f"{median_s / bare_s:.1f} x Python alone",
        f"<= {most_s} s",
        median_s <= most_s,
        {"seconds": list(seconds), "ratio": median_s / bare_s},
    )


if __name__ == "__main__":
    sys.exit(main())
