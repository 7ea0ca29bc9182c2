"""The tables of the history. Each change of them is a migration, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from crawler.model.history import Event, Kind, RunState, Step
from crawler.model.records import Counts
from crawler.model.run_statistics import RunStatistics, statistics_in

METADATA = sa.MetaData()

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("run", sa.BigInteger, nullable=False),
    sa.Column("step", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("time_ns", sa.BigInteger, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("spider", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("pages", sa.BigInteger, nullable=False),
    sa.Column("items", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("late", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("id", "shard", "generation", "epoch", "step"),
    sa.Index("events_of_task", "task", "time_ns"),
    sa.Index("events_by_time", "time_ns"),
    sa.Index("events_by_state", "state", "time_ns"),
)
KEY = (
    EVENTS.c.id,
    EVENTS.c.shard,
    EVENTS.c.generation,
    EVENTS.c.epoch,
    EVENTS.c.step,
)

MARKS = sa.Table(
    "marks",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
)
"""Up to which revision of etcd everything is written."""

BUNDLE_PARTS = sa.Table(
    "bundle_parts",
    METADATA,
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("digest", "part"),
)
"""The bundles of projects, where deploy.url says so."""

RUN_STATISTICS = sa.Table(
    "run_statistics",
    METADATA,
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("shard", sa.Integer, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("time_ns", sa.BigInteger, nullable=False),
    sa.Column("statistics", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("id", "shard", "epoch"),
    sa.Index("run_statistics_by_time", "time_ns"),
)
"""What the crawl of a run had counted when the run was over, and when it was told."""

TOLD = EVENTS.outerjoin(
    RUN_STATISTICS,
    sa.and_(
        EVENTS.c.step == int(Step.ENDED),
        *(RUN_STATISTICS.c[name] == EVENTS.c[name] for name in ("id", "shard", "epoch")),
    ),
)
"""The events, with the statistics of the runs that ended."""

_NO_LABELS = "{}"


def row_of(event: Event) -> dict[str, Any]:
    """Return an event as a row."""
    counts = event.counts
    return {
        "id": _sound(event.id),
        "shard": event.shard,
        "generation": event.generation,
        "epoch": event.epoch,
        "run": event.run,
        "step": int(event.step),
        "kind": event.kind.value,
        "time_ns": event.time_ns,
        "task": _sound(event.task),
        "state": event.state.value if event.state else "",
        "worker": _sound(event.worker),
        "reason": _sound(event.reason),
        "who": _sound(event.who),
        "spider": _sound(event.spider),
        "labels": _labels_of(event),
        "pages": counts.pages,
        "items": counts.items,
        "failures": counts.failures,
        "seconds": counts.seconds,
        "late": event.late,
    }


def event_of(row: sa.RowMapping) -> Event:
    """Return the event of a row."""
    return Event(
        row["time_ns"],
        Kind(row["kind"]),
        Step(row["step"]),
        *(row["task"], row["id"], row["epoch"], row["generation"], row["shard"]),
        run=row["run"],
        state=RunState(row["state"]) if row["state"] else None,
        worker=row["worker"],
        reason=row["reason"],
        who=row["who"],
        spider=row["spider"],
        labels=json.loads(row["labels"]),
        counts=Counts(row["pages"], row["items"], row["failures"], row["seconds"]),
        late=row["late"],
        statistics=statistics_in(row.get("statistics") or ""),
    )


def statistics_row_of(told: RunStatistics, now_ns: int) -> dict[str, Any]:
    """Return the statistics of a run as a row."""
    return {
        "id": _sound(told.id),
        "shard": told.shard,
        "epoch": told.epoch,
        "time_ns": now_ns,
        "statistics": _sound(told.text),
    }


def are_sound(labels: Mapping[str, str]) -> bool:
    """Whether every database takes these labels as they are."""
    return all(text == _sound(text) for pair in labels.items() for text in pair)


def _labels_of(event: Event) -> str:
    """Return the labels, without those that a database refuses. A changed one could be that of
    somebody else, who would then see the task."""
    if not event.labels:
        return _NO_LABELS
    kept = {key: value for key, value in event.labels.items() if are_sound({key: value})}
    return json.dumps(kept)


def _sound(text: str) -> str:
    """Return a text that every database takes: without NUL, and without half characters."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
