"""What a client may send to make or change a schedule, for gRPC and HTTP alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from crawler.errors import InvalidArgument, shown
from crawler.model.records import Spec
from crawler.model.schedules import (
    HOUR_S,
    MOST_CATCH_UP_S,
    MOST_JITTER_S,
    Overlap,
    ScheduleWish,
)
from crawler.schedules.timetable import MOST_TEXT, stamp, timetable_of, zone_of
from crawler.schemas.parameters import is_text
from crawler.schemas.task_fields import MAX_NAME, MISSING, Name, Text, Truth
from crawler.schemas.task_schemas import Request, load_spec

MOST_OWN_NAME = MAX_NAME - len(f"-{stamp(0)}")
"""The longest name of a task of which each moment has one of its own."""


class OverlapName(fields.Field[Overlap]):
    """What happens while the run before goes on."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Overlap:
        for overlap in Overlap:
            if value == overlap.value:
                return overlap
        allowed = ", ".join(overlap.value for overlap in Overlap)
        raise ValidationError(f"{shown(value)} is not allowed; allowed: {allowed}")


class When(Text):
    """When a schedule fires. Whether its fields can be understood is checked with the time zone."""


class Seconds(fields.Field[float]):
    """A duration in seconds."""

    def __init__(self, most: float, **more: Any) -> None:
        super().__init__(**more)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not 0 <= value <= self.most:
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed is a number from 0 to {self.most:g}"
            )
        return float(value)


class TaskOf(fields.Field[Mapping[str, Any]]):
    """The specification of the task, whose name is that of the schedule if it gives none."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a JSON object")
        return value


class ScheduleSchema(Request):
    """A Schedule. A client may also send back the other fields that it got."""

    ignored = frozenset(
        {
            *("creation_time", "last_time", "last_outcome", "queued_time", "next"),
        }
    )
    name = Name(required=True, error_messages=MISSING)
    when = When(least=1, most=MOST_TEXT, required=True, error_messages=MISSING)
    time_zone = Text(most=MOST_TEXT, load_default="UTC")
    overlap = OverlapName(load_default=Overlap.SKIP)
    jitter_s = Seconds(MOST_JITTER_S, load_default=0.0)
    catch_up_s = Seconds(MOST_CATCH_UP_S, load_default=HOUR_S)
    paused = Truth(load_default=False)
    task = TaskOf(load_default=dict)

    @validates_schema(skip_on_field_errors=False)
    def _check_moments(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Check that the times can be understood in the time zone."""
        if not {"when", "time_zone"} <= data.keys():
            return
        for field, check in (
            ("time_zone", lambda: zone_of(data["time_zone"])),
            ("when", lambda: timetable_of(data["when"], data["time_zone"], 0)),
        ):
            try:
                check()
            except ValueError as error:
                raise ValidationError({field: [str(error)]}) from None

    def _record(self, data: dict[str, Any]) -> ScheduleWish:
        task = _task_of(data.pop("task"), data["name"])
        if data["overlap"] is Overlap.ALLOW and len(task.name) > MOST_OWN_NAME:
            raise InvalidArgument(
                f"task.name: {shown(task.name)} is not allowed with overlap allow; allowed are 1 "
                f"to {MOST_OWN_NAME} characters, as each moment adds its time"
            )
        return ScheduleWish(task=task, **data)


_SCHEDULE = ScheduleSchema()


def load_schedule(given: Mapping[str, Any]) -> ScheduleWish:
    """Read which schedule somebody asks for. Raises InvalidArgument, which names every fault."""
    wish: ScheduleWish = _SCHEDULE.read(given)
    return wish


def load_schedule_name(name: str) -> str:
    """Read the name of a schedule, which need not exist. Raises InvalidArgument."""
    if not is_text(name) or not name:
        raise InvalidArgument(f"name: {shown(name)} is not allowed; allowed is a name")
    return name


def _task_of(given: Mapping[str, Any], name: str) -> Spec:
    named = given if given.get("name") else {**given, "name": name}
    try:
        return load_spec(named)
    except InvalidArgument as fault:
        raise InvalidArgument(f"task.{fault}") from None
