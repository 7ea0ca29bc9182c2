"""What a crawl process tells of its runs, as values of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crawler.model.records import Counts, State
from crawler.node.run.run import Run

Row = list[Any]


def row_of(counts: Counts) -> Row:
    """The counts of a run."""
    return [counts.pages, counts.items, counts.failures, counts.seconds]


def counts_of(row: Row) -> Counts:
    """The counts that a row holds. Raises TypeError and ValueError."""
    pages, items, failures, seconds = row
    return Counts(int(pages), int(items), int(failures), float(seconds))


def status_of(run: Run) -> dict[str, Any]:
    """How a run is at this moment."""
    report = run.status()
    return {
        "state": report.state.value,
        "reason": report.reason,
        "awaits_spider": report.awaits_spider,
        "later_epoch": run.later_epoch,
        "counts": row_of(report.counts),
        "shards": {str(shard): row_of(each) for shard, each in report.shard_counts.items()},
        "is_kept": run.is_kept,
        "can_go_on": run.can_go_on,
        "is_ending": run.is_ending,
    }


def shard_counts_of(rows: Mapping[str, Row]) -> dict[int, Counts]:
    """The counts of the other shards of a task."""
    return {int(shard): counts_of(row) for shard, row in rows.items()}


def state_of(text: str) -> State:
    """The state that a text names. Raises ValueError."""
    return State(text)
