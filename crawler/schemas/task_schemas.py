"""What a client may send, for gRPC and HTTP alike. A fault names field, value and what is allowed.

Fields have their names in crawler.proto; the lowerCamelCase of JSON is also accepted. Integers may
be strings, as JSON has 64-bit integers. Nothing is trimmed or corrected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, validates_schema

from crawler.errors import InvalidArgument, shown
from crawler.model.constraints import NONE
from crawler.model.records import MAX_PAGE, Query, Sort, Spec
from crawler.model.shards import MAX_WORKERS
from crawler.schemas import constraint_json
from crawler.schemas.states import load_listed_state, load_sort
from crawler.schemas.task_fields import (
    MAX_NAME,
    MISSING,
    Asked,
    Digest,
    Labels,
    Name,
    Parameters,
    ProjectName,
    Text,
    Truth,
    Whole,
    _placed,
)

DEFAULT_PAGE = Query().page_size
"""How many resources a page has if the client does not say."""

MAX_RETRIES = 1000
"""How often a client may have a failed run tried again."""


ALIASES = {
    "assignedNode": "assigned_node",
    "assignedTime": "assigned_time",
    "catchUpS": "catch_up_s",
    "creationTime": "creation_time",
    "expirationTime": "expiration_time",
    "failedOn": "failed_on",
    "forS": "for_s",
    "jitterS": "jitter_s",
    "killedProcesses": "killed_processes",
    "lastOutcome": "last_outcome",
    "lastTime": "last_time",
    "pageSize": "page_size",
    "pageToken": "page_token",
    "queuedTime": "queued_time",
    "shardOf": "shard_of",
    "timeZone": "time_zone",
}
"""The name of a field in lowerCamelCase → its name in crawler.proto."""
_ECHOED = frozenset(
    ("id", "assigned_node", "creation_time", "state", "reason", "epoch", "counts")
) | {
    *("assigned_time", "failed_on", "kills", "killed_processes"),
    *("generation", "shard", "shard_of", "running"),
    *("paused", "stopped", "run", "digest"),
}
"""The fields that the cluster adds to a resource. A client that sends back a resource includes
them."""

_INT32 = 2**31 - 1
_SPEC_FIELDS = sorted({field.name for field in dataclasses.fields(Spec)} - _ECHOED)


class Request(Schema):
    """The fields that a client may give, each with its own rule."""

    ignored: frozenset[str] = frozenset()
    """Fields that may be given, and have no effect. To declare them would cost time in each
    request."""

    class Meta:
        unknown = RAISE

    def read(self, given: Mapping[str, Any]) -> Any:
        """Return the record. A null counts as absent, if the field exists. Raises
        InvalidArgument."""
        named = ((ALIASES.get(key, key), value) for key, value in given.items())
        meant = {
            key: value
            for key, value in named
            if key not in self.ignored and (value is not None or key not in self.fields)
        }
        try:
            return self._record(self.load(meant))
        except ValidationError as fault:
            raise InvalidArgument(self._explain(fault.messages_dict, given)) from None

    def _record(self, data: dict[str, Any]) -> Any:
        """Make the record of the fields. As a hook of marshmallow, `post_load`, it would cost more
        than all else that it does."""
        return data

    def _explain(self, faults: Mapping[str, Any], given: Mapping[str, Any]) -> str:
        """Return the faults, each with the name that the client gave."""
        written = {ALIASES.get(key, key): key for key in given}
        return "; ".join(
            line
            for key in sorted(faults)
            for line in self._lines(key, written.get(key, key), faults[key])
        )

    def _lines(self, key: str, written: str, told: Any) -> Iterator[str]:
        if key not in self.fields:
            yield self._unknown(written)
            return
        for place, messages in (told if isinstance(told, dict) else {"": told}).items():
            yield f"{written}{place}: {', '.join(messages)}"

    def _unknown(self, key: str) -> str:
        near = get_close_matches(str(key)[:MAX_NAME], self.fields, n=1)
        meant = f"did you mean {near[0]}? The" if near else "the"
        return f"{shown(key)} is not a field; {meant} fields are {', '.join(self.fields)}"


class KeySchema(Request):
    """A ResourceSpec that only names a resource, whatever name another program gave it."""

    ignored = _ECHOED | frozenset(_SPEC_FIELDS) - {"name"}
    name = Text(least=1, required=True, error_messages=MISSING)


class SpecSchema(Request):
    """A ResourceSpec that specifies a task."""

    ignored = _ECHOED
    name = Name(required=True, error_messages=MISSING)
    spider = Text(most=MAX_NAME, load_default="")
    parameters = Parameters(load_default=dict)
    labels = Labels(load_default=dict)
    priority = Whole(-_INT32 - 1, _INT32, load_default=0)
    constraints = Asked(load_default=NONE)
    retries = Whole(0, MAX_RETRIES, load_default=0)
    workers = Whole(1, MAX_WORKERS, load_default=1)
    isolated = Truth(load_default=False)
    project = ProjectName(load_default="")
    bundle = Digest(load_default="")

    @validates_schema
    def _check_bundle(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Check that a task that keeps to a bundle names the project of it."""
        if data["bundle"] and not data["project"]:
            raise ValidationError({"bundle": ["needs a project; name it with project"]})

    @validates_schema(skip_on_field_errors=False)
    def _check_own_labels(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Check that the task has each label whose own value a term refers to."""
        if "constraints" in data and "labels" in data:
            faults = _placed(constraint_json.valueless(data["constraints"], data["labels"]))
            if faults:
                raise ValidationError({"constraints": faults})

    def _record(self, data: dict[str, Any]) -> Spec:
        return Spec(**data)


class QuerySchema(Request):
    """Which part of the resources to list."""

    page_size = Whole(0, _INT32, load_default=0)
    page_token = Text(load_default="")
    state = Text(load_default="")
    shards = Truth(load_default=False)
    labels = Labels(load_default=dict)
    search = Text(most=MAX_NAME, load_default="")
    spider = Text(most=2 * MAX_NAME, load_default="")
    node = Text(most=MAX_NAME, load_default="")
    sort = Text(load_default="")
    descending = Truth(load_default=False)

    def _record(self, data: dict[str, Any]) -> Query:
        data["page_size"] = min(data["page_size"], MAX_PAGE) or DEFAULT_PAGE
        data["state"] = load_listed_state(data["state"]) if data["state"] else None
        data["sort"] = load_sort(data["sort"]) if data["sort"] else Sort.NAME
        return Query(**data)


# Made once: a new schema copies all its fields, which takes longer than to read a task.
_SPEC, _KEY, _QUERY = SpecSchema(), KeySchema(), QuerySchema()


def load_spec(given: Mapping[str, Any]) -> Spec:
    """Read the specification of a task. Raises InvalidArgument, which names every fault."""
    spec: Spec = _SPEC.read(given)
    return spec


def load_addition(given: Mapping[str, Any]) -> tuple[Spec, bool]:
    """Read a request to add a task, and whether the task may wait for its spider. Raises
    InvalidArgument."""
    waits, rest = _waits(given)
    return load_spec(rest), waits


def load_update(given: Mapping[str, Any]) -> tuple[Spec, bool | None, bool]:
    """Read a request to change a task; whether that may restart its run, None if it does not say;
    and whether the task may wait for its new spider. Raises InvalidArgument."""
    waits, rest = _waits(given)
    restart, rest = _without_flag(rest, "restart")
    return load_spec(rest), restart, waits


def load_name(given: Mapping[str, Any]) -> str:
    """Read the name of a resource, which need not exist. Raises InvalidArgument."""
    return str(_KEY.read(given)["name"])


def load_label(text: str) -> tuple[str, str]:
    """Read a label as `team=a`. Raises InvalidArgument."""
    key, is_given, value = text.partition("=")
    if not key or not is_given:
        raise InvalidArgument(f"label: {shown(text)} is not allowed; allowed is KEY=VALUE")
    return key, value


def load_query(given: Mapping[str, Any]) -> Query:
    """Read which resources to list. Raises InvalidArgument."""
    query: Query = _QUERY.read(given)
    return query


def _waits(given: Mapping[str, Any]) -> tuple[bool, Mapping[str, Any]]:
    waits, rest = _without_flag(given, "wait_for_spider", "waitForSpider")
    return bool(waits), rest


def _without_flag(given: Mapping[str, Any], *names: str) -> tuple[bool | None, Mapping[str, Any]]:
    """Return a flag that belongs to the request and not to the task, and the rest of the request.
    Raises InvalidArgument."""
    found = [name for name in names if name in given]
    if not found:
        return None, given
    value = given[found[0]]
    if value is not None and not isinstance(value, bool):
        raise InvalidArgument(f"{found[0]}: {shown(value)} is not allowed; allowed: true, false")
    return value, {key: value for key, value in given.items() if key not in names}
