"""Converts schedules to messages, and back."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.api.rpc import codec
from crawler.model.schedules import Overlap, Schedule, ScheduleView, ScheduleWish
from crawler.proto import crawler_pb2 as pb


def wish_message(wish: ScheduleWish) -> pb.Schedule:
    """Return the request that makes or changes a schedule."""
    return _message(fields.of_schedule_wish(wish), wish)


def wish_fields(message: pb.Schedule) -> dict[str, Any]:
    """Return the fields of such a request for `schedule_schemas.load_schedule`."""
    return {
        "name": message.name,
        "when": message.when,
        "time_zone": message.time_zone or None,
        "overlap": message.overlap or None,
        "jitter_s": message.jitter_s,
        "catch_up_s": message.catch_up_s if message.HasField("catch_up_s") else None,
        "paused": message.paused,
        "task": codec.spec_fields(message.task),
    }


def schedule_message(view: ScheduleView) -> pb.Schedule:
    """Return a schedule as a client sees it."""
    return _message(fields.of_schedule(view), view.schedule.wish)


def schedule_from(message: pb.Schedule) -> ScheduleView:
    """Return a schedule as a client knows it."""
    wish = ScheduleWish(
        message.name,
        message.when,
        codec.resource_from(message.task).spec,
        message.time_zone,
        Overlap(message.overlap),
        message.jitter_s,
        message.catch_up_s,
        message.paused,
    )
    schedule = Schedule(
        wish,
        message.creation_time,
        message.last_time,
        queued_ns=message.queued_time,
        fired_ns=message.last_time,
        outcome=message.last_outcome,
    )
    return ScheduleView(schedule, tuple(message.next))


def _message(found: fields.Fields, wish: ScheduleWish) -> pb.Schedule:
    return pb.Schedule(**{**found, "task": codec.spec_message(wish.task)})
