"""The JSON Schemas of answers: of messages of crawler.proto, and of the statistics of a worker.

They follow `bodies`: 64-bit integers are strings, names are lowerCamelCase, and a field that can be
absent is required nowhere. Answers may get further fields in later versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from google.protobuf.descriptor import FieldDescriptor

from crawler.model.processes import ProcessLoad
from crawler.model.statistics import Statistics
from crawler.proto import crawler_pb2 as pb

Schema = dict[str, Any]
"""A JSON Schema."""

WHOLE = "^-?[0-9]{1,19}$"
"""A whole number as text."""

_REQUESTS_ONLY = frozenset({"restart", "wait_for_spider", "disable", "enable", "weigh"})
_SECRETS = frozenset({"Secret.value"})
"""The fields of messages that no answer has, by their names, and by those of their messages."""

_STATISTICS = frozenset({"TaskStatistics.statistics", "CrawlPart.statistics"})
"""The structs that are statistics."""

_GOOGLE = {
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}

_SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "format": "int64", "pattern": WHOLE},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}

_TYPES: Mapping[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
}


def schemas() -> dict[str, Schema]:
    """Return the schemas of answers, and of what is in them, by name."""
    text, truth = {"type": "string"}, {"type": "boolean"}
    messages = (
        pb.ListResourcesResponse,
        pb.ListNodesResponse,
        pb.Explanation,
        pb.Scheduler,
        pb.DryRun,
        pb.ListTokensResponse,
        pb.ListSecretsResponse,
        pb.ListSchedulesResponse,
        pb.ListProjectsResponse,
        pb.BundleFiles,
        pb.Comparison,
        pb.ListAuditResponse,
        pb.GetHistoryResponse,
        pb.ListRunsResponse,
        pb.ListAlertsResponse,
        pb.ListAlertRulesResponse,
        pb.TaskStatistics,
        pb.SpiderList,
    )
    return {
        **of_messages(*(each.DESCRIPTOR for each in (*messages, pb.LeaderSpec))),
        "Placement": record(
            {"id": text, "Address": text, "reason": text, "new": truth, "state": text},
            *("reason", "new", "state"),
        ),
        "Nothing": {"type": "object", "maxProperties": 0},
        "Error": record(
            {"code": {"type": "integer"}, "message": text, "details": {"type": "array"}}
        ),
        "Alive": record({"alive": {"const": True}}),
        "Ready": record({"ready": {"const": True}}),
        "NotReady": record({"ready": {"const": False}, "reason": text}, "reason"),
        "Memory": _memory(),
        "Statistics": of_dataclass(Statistics),
        "Crawls": list_of("crawls", ref("Statistics")),
        "Processes": list_of("processes", of_dataclass(ProcessLoad)),
    }


def _memory() -> Schema:
    number, numbers = {"type": "integer"}, {"type": "array", "items": {"type": "integer"}}
    one = record({"type": {"type": "string"}, "count": number, "bytes": number})
    return record(
        {
            "rss_bytes": number,
            "objects": number,
            "object_bytes": number,
            "gc": record({"counts": numbers, "thresholds": numbers, "frozen": number}),
            "types": {"type": "array", "items": one},
        }
    )


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(key: str, items: Schema) -> Schema:
    """Return the schema of an object with nothing but a list."""
    return record({key: {"type": "array", "items": items}})


def record(properties: Mapping[str, Schema], *optional: str) -> Schema:
    """Return the schema of an object with these fields, which it has but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def of_messages(*messages: Any) -> dict[str, Schema]:
    """Return the schemas of messages, and of those within them, by their names."""
    found: dict[str, Schema] = {}
    left = list(messages)
    while left:
        message = left.pop()
        if message.name not in found:
            found[message.name] = _of_message(message)
            left += filter(None, map(_inner, _told(message)))
    return found


def of_dataclass(kind: type[Any]) -> Schema:
    """Return the schema of a dataclass that is written with all its fields."""
    hints = get_type_hints(kind)
    return record({name: _of_type(hint) for name, hint in hints.items()})


def _of_message(message: Any) -> Schema:
    told = _told(message)
    may_lack = [field.json_name for field in told if field.has_presence]
    return record({field.json_name: _of_field(field) for field in told}, *may_lack)


def _told(message: Any) -> list[FieldDescriptor]:
    return [
        field
        for field in message.fields
        if field.name not in _REQUESTS_ONLY and field.full_name not in _SECRETS
    ]


def _inner(field: FieldDescriptor) -> Any:
    """Return the message of a field that has a schema of its own; None if it has none."""
    message = field.message_type
    if message is None or message.full_name in _GOOGLE:
        return None
    if message.GetOptions().map_entry:
        return _inner(message.fields_by_name["value"])
    return message


def _of_field(field: FieldDescriptor) -> Schema:
    message = field.message_type
    if field.full_name in _STATISTICS:
        return ref("Statistics")
    if message is not None and message.GetOptions().map_entry:
        value = message.fields_by_name["value"]
        return {"type": "object", "additionalProperties": _of_value(value)}
    one = _of_value(field)
    return {"type": "array", "items": one} if field.is_repeated else one


def _of_value(field: FieldDescriptor) -> Schema:
    message = field.message_type
    if message is None:
        return dict(_SCALARS[field.cpp_type])
    known = _GOOGLE.get(message.full_name)
    return ref(message.name) if known is None else dict(known)


def _of_type(hint: Any) -> Schema:
    if hint is Statistics:  # the head of a task has those of its shards
        return ref("Statistics")
    if is_dataclass(hint):
        return of_dataclass(hint)  # type: ignore[arg-type]
    inner = get_args(hint)
    if get_origin(hint) is list:
        return {"type": "array", "items": _of_type(inner[0])}
    if inner:
        return {"type": "object", "additionalProperties": _of_type(inner[1])}
    return dict(_TYPES[hint])
