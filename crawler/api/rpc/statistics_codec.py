"""Converts the statistics of a task to messages, and back."""

from __future__ import annotations

from google.protobuf import json_format

from crawler.api import fields
from crawler.model.statistics import Statistics
from crawler.model.task_statistics import CrawlPart, TaskStatistics
from crawler.proto import crawler_pb2 as pb


def task_message(found: TaskStatistics) -> pb.TaskStatistics:
    """Return the statistics of a task as a message."""
    message = pb.TaskStatistics()
    json_format.ParseDict({**fields.of_task_statistics(found)}, message)
    return message


def task_from(message: pb.TaskStatistics) -> TaskStatistics:
    """Return the statistics of a task."""
    return TaskStatistics(
        message.name, _statistics_from(message), [_part_from(each) for each in message.parts]
    )


def _part_from(message: pb.CrawlPart) -> CrawlPart:
    return CrawlPart(
        message.name,
        message.node,
        _statistics_from(message),
        message.age_s if message.HasField("age_s") else None,
        message.of_head,
        message.silent,
        message.note,
    )


def _statistics_from(message: pb.TaskStatistics | pb.CrawlPart) -> Statistics | None:
    if not message.HasField("statistics"):
        return None
    return Statistics.from_json(json_format.MessageToDict(message.statistics))
