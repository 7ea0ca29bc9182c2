"""The history of tasks: what happened to them, and what became of each of their runs.

A run is one assignment of a task, or of a shard of it, to a worker. Runs have the same number
(`run`) if the task moved or was resumed between them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.model.records import NO_COUNTS, NO_LABELS, Counts
from crawler.model.run_statistics import NO_STATISTICS
from crawler.model.times import moment

DEFAULT_LIMIT = 100
"""How many events or runs a client gets that does not say how many."""
MOST_LIMIT = 1000
"""How many it can get."""


class Step(enum.IntEnum):
    """The place of an event in the life of a run. A run has one event for each step, so whoever
    writes an event again changes nothing."""

    ASKED = 0
    """Somebody added the task, or asked for it anew."""
    PLACED = 1
    BEGUN = 2
    ENDED = 3
    REMOVED = 4
    """Somebody deleted the task."""
    STOPPED = 5
    """Somebody stopped the task."""
    PAUSED = 6
    """Somebody paused it. The last time in each epoch is kept."""
    RESUMED = 7
    """Somebody resumed it. Likewise."""


class Kind(enum.Enum):
    """What happened."""

    ADDED = "added"
    AGAIN = "again"
    """Somebody asked for the task anew."""
    PLACED = "placed"
    BEGUN = "begun"
    RESUMED = "resumed"
    """It began, and goes on with what an earlier run has done. Only answers say it."""
    MOVED = "moved"
    """It lost its worker, or the worker lost it."""
    INTERRUPTED = "interrupted"
    """Its process is gone, and the worker lives."""
    ENDED = "ended"
    PAUSED = "paused"
    """Somebody paused the task."""
    UNPAUSED = "unpaused"
    """Somebody resumed it."""
    STOPPED = "stopped"
    """Somebody stopped it for good."""
    DELETED = "deleted"


class RunState(enum.Enum):
    """How far a run is, or how it ended."""

    PLACED = "placed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    MOVED = "moved"
    PAUSED = "paused"
    """Somebody paused the task."""
    STOPPED = "stopped"
    """Somebody stopped the task, asked for it anew, or deleted it."""
    UNKNOWN = "unknown"
    """It is over, and a later leader could not tell how."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a task."""

    time_ns: int
    kind: Kind
    step: Step
    task: str
    id: str
    epoch: int
    """The run that it is about. For an event of the task, the latest one until then, or 0."""
    generation: int = 0
    shard: int = 0
    run: int = 1
    """The number of the run."""
    state: RunState | None = None
    """The state of the run from then on; None for an event of the task."""
    worker: str = ""
    reason: str = ""
    """Why: as the one who decided said it."""
    who: str = ""
    """Who asked for it; empty if nobody did, or nobody knows."""
    spider: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    counts: Counts = NO_COUNTS
    late: bool = False
    """Whether a later leader found it. Then it happened before its time."""
    statistics: Mapping[str, Any] = field(default_factory=lambda: NO_STATISTICS)
    """What the crawl had counted when the run was over, for its end (`run_statistics.py`)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as its events tell it."""

    task: str
    id: str
    epoch: int
    generation: int
    shard: int
    state: RunState
    worker: str = ""
    spider: str = ""
    placed_ns: int = 0
    """When it was placed; 0 if nobody knows. The next two likewise."""
    begun_ns: int = 0
    ended_ns: int = 0
    reason: str = ""
    who: str = ""
    """Who added the task, or asked for it anew."""
    counts: Counts = NO_COUNTS
    """What it had counted at its end."""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    run: int = 1
    """The number of the run."""
    statistics: Mapping[str, Any] = field(default_factory=lambda: NO_STATISTICS)
    """What its crawl had counted when it was over (`run_statistics.py`)."""


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs somebody asks for. The latest ones are returned."""

    limit: int = DEFAULT_LIMIT
    state: RunState | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)


def told_event(event: Event) -> dict[str, object]:
    """Return an event as the fields of a line. What is not known is left out."""
    found: dict[str, object] = {
        "time": moment(event.time_ns),
        "kind": event.kind.value,
        "task": event.task,
        "id": event.id,
        "run": event.run,
        "epoch": event.epoch,
    }
    return {**found, **_known(event, ("shard", "worker", "reason", "who", "late"))}


def told_run(run: Run) -> dict[str, object]:
    """Return a run as the fields of a line. What is not known is left out."""
    found: dict[str, object] = {
        "task": run.task,
        "id": run.id,
        "run": run.run,
        "epoch": run.epoch,
        "state": run.state.value,
    }
    times = {name: getattr(run, f"{name}_ns") for name in ("placed", "begun", "ended")}
    found |= {name: moment(time_ns) for name, time_ns in times.items() if time_ns}
    return {**found, **_known(run, ("shard", "spider", "worker", "reason", "who"))}


def _known(told: Event | Run, names: tuple[str, ...]) -> dict[str, object]:
    known = {name: value for name in names if (value := getattr(told, name))}
    if told.state is not None:
        known["state"] = told.state.value
    if told.counts != NO_COUNTS:
        counts = told.counts
        known |= {"pages": counts.pages, "items": counts.items, "failures": counts.failures}
        known["seconds"] = round(counts.seconds, 3)
    if told.statistics:
        known["statistics"] = dict(told.statistics)
    return known
