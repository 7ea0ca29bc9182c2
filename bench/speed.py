"""Pages a second on one core: this engine, Scrapy, and a bare loop, taking turns on one site.

    python -m bench.speed [ROUNDS] [CONTENDER …]

Each contender runs in a process of its own, so that a drift of the machine hits all alike and peak
memory is its own. Medians of the rounds are compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench.contenders.common import FIELDS
from bench.pages import PAGES, served
from bench.table import Row, print_rows

ROUNDS = 3

CONTENDERS: dict[str, Sequence[str]] = {
    "curl": ("bare",),
    "parsel": ("bare", "parsel"),
    "fetch": ("ours", "fetch"),
    "class": ("ours", "class"),
    "declared": ("ours", "declared"),
    "scrapy": ("scrapy_crawl",),
}
"""Name → module and what it is told beside."""

TITLES = {
    "curl": "bare libcurl loop, pages not looked at",
    "parsel": "bare libcurl + parsel loop, no frontier, no items",
    "fetch": "ours, callbacks that do nothing",
    "class": "ours: 13 links followed, 3 fields to JSON lines",
    "declared": "ours, the same spider as YAML",
    "scrapy": "Scrapy, the same spider",
}


@dataclass
class Runs:
    """What a contender came to."""

    speeds: list[float] = field(default_factory=list)
    peaks_mb: list[float] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    """Sorted items of the last run, for those that write any."""

    @property
    def speed(self) -> float:
        """Pages a second, the median."""
        return median(self.speeds)

    @property
    def peak_mb(self) -> float:
        """The largest peak of memory."""
        return max(self.peaks_mb)


def measure(rounds: int, names: Sequence[str] = tuple(CONTENDERS)) -> dict[str, Runs]:
    """Let them take turns."""
    runs = {name: Runs() for name in names}
    with served() as base, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name in names:
                print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
                _run(name, base, Path(folder, f"{name}-{number}.jsonl"), runs[name])
    return runs


def _run(name: str, base: str, items: Path, into: Runs) -> None:
    module, *rest = CONTENDERS[name]
    arguments = [base, *rest] if module == "bare" else [*rest, base, str(items)]
    command = [sys.executable, "-m", f"bench.contenders.{module}", *arguments]
    told = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    if told["pages"] != PAGES:
        raise SystemExit(f"{name}: {told['pages']} pages instead of {PAGES}")
    into.speeds.append(told["pages"] / told["seconds"])
    into.peaks_mb.append(told["peak_mb"])
    if items.exists():
        into.items = sorted(_items(items))


def _items(path: Path) -> list[tuple[Any, ...]]:
    lines = path.read_text().splitlines()
    return [tuple(json.loads(line)[name] for name in FIELDS) for line in lines]


def rows(rounds: int = ROUNDS) -> list[Row]:
    """The speed of each, and how ours compares."""
    runs = measure(rounds)
    ours, scrapy = runs["class"], runs["scrapy"]
    if not ours.items == scrapy.items == runs["declared"].items:
        raise SystemExit("the items differ from Scrapy's: the speeds say nothing")
    return [*_speeds(runs), *_comparisons(runs)]


def _speeds(runs: dict[str, Runs]) -> list[Row]:
    return [
        Row(
            TITLES[name],
            f"{each.speed:,.0f} pages/s ({min(each.speeds):,.0f} to {max(each.speeds):,.0f}),"
            f" {each.peak_mb:.0f} MB",
            figures={"pages_per_second": each.speeds, "peak_mb": each.peaks_mb},
        )
        for name, each in runs.items()
    ]


def _comparisons(runs: dict[str, Runs]) -> list[Row]:
    ours, scrapy, bare = runs["class"], runs["scrapy"], runs["parsel"]
    times, share = ours.speed / scrapy.speed, ours.speed / bare.speed
    return [
        Row(
            "ours against Scrapy, the same items to the last",
            f"{times:.1f} x",
            ">= 15 x (aim 25 x)",
            times >= 15,
            {"times": times, "items": len(ours.items)},
        ),
        Row(
            "ours against the bare libcurl + parsel loop",
            f"{share:.0%}",
            ">= 45 %",
            share >= 0.45,
            {"share": share},
        ),
        Row(
            "peak memory, ours and Scrapy's",
            f"{ours.peak_mb:.0f} and {scrapy.peak_mb:.0f} MB",
            "<= Scrapy's",
            ours.peak_mb <= scrapy.peak_mb,
        ),
    ]


if __name__ == "__main__":
    rounds, names = int((sys.argv[1:] or ["1"])[0]), sys.argv[2:]
    print_rows(_speeds(measure(rounds, names)) if names else rows(rounds))
