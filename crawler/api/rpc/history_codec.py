"""Converts events and runs of the history to messages, and back."""

from __future__ import annotations

from crawler.api import fields
from crawler.model.history import Event, Kind, Run, RunState, Step
from crawler.model.records import Counts
from crawler.proto import crawler_pb2 as pb
from crawler.schemas.structs import from_struct


def event_message(event: Event) -> pb.HistoryEvent:
    """Return an event as a message."""
    return pb.HistoryEvent(**fields.of_event(event))


def event_from(message: pb.HistoryEvent) -> Event:
    """Return the event of a message."""
    return Event(
        message.time,
        Kind(message.kind),
        Step(message.step),
        *(message.task, message.id, message.epoch, message.generation, message.shard),
        run=message.run,
        state=RunState(message.state) if message.state else None,
        worker=message.worker,
        reason=message.reason,
        who=message.who,
        spider=message.spider,
        labels=dict(message.labels),
        counts=_counts_from(message.counts),
        late=message.late,
        statistics=from_struct(message.statistics),
    )


def run_message(run: Run) -> pb.Run:
    """Return a run as a message."""
    return pb.Run(**fields.of_run(run))


def run_from(message: pb.Run) -> Run:
    """Return the run of a message."""
    return Run(
        *(message.task, message.id, message.epoch, message.generation, message.shard),
        run=message.run,
        state=RunState(message.state),
        worker=message.worker,
        spider=message.spider,
        placed_ns=message.placed_time,
        begun_ns=message.begun_time,
        ended_ns=message.ended_time,
        reason=message.reason,
        who=message.who,
        counts=_counts_from(message.counts),
        labels=dict(message.labels),
        statistics=from_struct(message.statistics),
    )


def _counts_from(message: pb.Counts) -> Counts:
    return Counts(message.pages, message.items, message.failures, message.seconds)
