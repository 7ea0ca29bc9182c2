"""The JSON Schemas of requests, made from the marshmallow schemas that check them.

apispec walks the marshmallow schemas. This module tells it the limits of the project's own fields,
and what all requests have in common: a null counts as absent, fields that the cluster sets are
ignored, and some fields have two names.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields

from crawler.api.http.openapi.answers import Schema, ref
from crawler.api.http.openapi.constraints import constraints
from crawler.api.http.openapi.shapes import closed, whole
from crawler.model.access import GIVEN
from crawler.model.alerts import When as AlertWhen
from crawler.model.projects import PROJECT_NAME, SHORT
from crawler.model.schedules import Overlap
from crawler.model.secrets import LEAST_CHARACTERS, MOST_BYTES, NAME
from crawler.schemas.alert_schemas import (
    MOST_CHANNELS,
    AlertName,
    AlertRuleSchema,
    Amount,
    ChannelNames,
    WhenName,
)
from crawler.schemas.alert_schemas import NAME as ALERT_NAME
from crawler.schemas.parameters import MAX_DEPTH, MOST_NUMBER
from crawler.schemas.policy_schemas import MAX_WEIGHT, Names, PolicySchema, Weights
from crawler.schemas.project_schemas import DigestStart, RollbackSchema
from crawler.schemas.schedule_schemas import (
    OverlapName,
    ScheduleSchema,
    Seconds,
    TaskOf,
    When,
)
from crawler.schemas.secret_schemas import SecretName, SecretSchema, SecretValue
from crawler.schemas.states import LISTED, SORTS
from crawler.schemas.task_fields import (
    MAX_NAME,
    NAME_CHARACTERS,
    RESERVED,
    Asked,
    Digest,
    Labels,
    Name,
    Parameters,
    ProjectName,
    Text,
    Truth,
    Whole,
)
from crawler.schemas.task_schemas import ALIASES, KeySchema, QuerySchema, Request, SpecSchema
from crawler.schemas.token_schemas import RoleName, TokenSchema

_TRUTH: Schema = {"type": "boolean"}
_WAITS = {"waitForSpider": _TRUTH, "wait_for_spider": _TRUTH}
_STATES = ["", *LISTED]
_SORTS = ["", *SORTS]

_VALUE: Schema = {
    "anyOf": [
        {"type": ["null", "boolean", "string"]},
        {"type": "number", "minimum": -MOST_NUMBER, "maximum": MOST_NUMBER},
        {"type": "array", "items": ref("ParameterValue")},
        {"type": "object", "additionalProperties": ref("ParameterValue")},
    ],
    "description": "An integer beyond 2^53 is given as text.",
}


def bodies(converter: OpenAPIConverter) -> dict[str, Schema]:
    """Return the schemas of the bodies of requests, and of what is in them, by name."""
    converter.add_attribute_function(_limits)  # type: ignore[no-untyped-call]
    task = _properties(converter, SpecSchema)
    secret = _properties(converter, SecretSchema)
    schedule = _properties(converter, ScheduleSchema)
    rollback = _properties(converter, RollbackSchema)
    rule = _properties(converter, AlertRuleSchema)
    update = {**task, **_WAITS, "restart": _TRUTH}
    return {
        "ParameterValue": _VALUE,
        "AskedConstraints": constraints(),
        "TaskNewName": task["name"],
        "TaskAddition": closed({**task, **_WAITS}, "name"),
        "TaskUpdate": closed(update),
        "TaskName": closed(_properties(converter, KeySchema), "name"),
        "ScheduledTask": closed(task),
        "ScheduleAddition": closed(schedule, "name", "when"),
        "ScheduleUpdate": closed(schedule, "when"),
        "TokenWish": closed(_properties(converter, TokenSchema), "role"),
        "AlertName": rule["name"],
        "AlertRuleWish": closed(rule, "when"),
        "SecretName": secret["name"],
        "SecretWish": closed(secret, "value"),
        "Bundle": {"type": "string", "contentMediaType": "application/zip"},
        "ProjectName": {"type": "string", "pattern": f"^{PROJECT_NAME}$"},
        "Rollback": closed(rollback),
        "PolicyChange": closed(_properties(converter, PolicySchema)),
    }


def query(converter: OpenAPIConverter) -> list[Schema]:
    """Return the parameters of the query of a list. They are text, and have one name here."""
    known = _properties(converter, QuerySchema)
    size = {**known["pageSize"], "type": "integer"}
    del size["pattern"]
    known |= {"pageSize": size, "state": {"type": "string", "enum": _STATES}, "shards": _TRUTH}
    known |= {"sort": {"type": "string", "enum": _SORTS}, "descending": _TRUTH}
    names = [name for name in known if name not in (*ALIASES.values(), "labels")]
    found = [{"name": name, "in": "query", "schema": known[name]} for name in names]
    label = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+=[^=]*$"}}
    return [*found, {"name": "label", "in": "query", "schema": label, "explode": True}]


def _properties(converter: OpenAPIConverter, kind: type[Request]) -> dict[str, Schema]:
    """Return the schemas of the fields by all their names."""
    schema = kind()
    found = {
        name: _without_default(converter.field2property(field))
        for name, field in schema.fields.items()
    }
    found |= {name: {} for name in sorted(schema.ignored)}
    return found | {other: found[name] for other, name in ALIASES.items() if name in found}


def _limits(_: OpenAPIConverter, field: fields.Field[Any], **__: Any) -> Schema:
    """Tell apispec the limits of a field."""
    return _schema_of(field)


def _without_default(found: Schema) -> Schema:
    """Drop what a field is without a value: that is a record of the program, and no JSON."""
    return {key: value for key, value in found.items() if key != "default"}


@singledispatch
def _schema_of(field: fields.Field[Any]) -> Schema:
    """Return the schema of a field; of one that takes anything by default."""
    return {}


@_schema_of.register
def _(field: Text) -> Schema:
    return _text(field.least, field.most)


@_schema_of.register
def _(field: Name) -> Schema:
    pattern = f"^{NAME_CHARACTERS}+$"
    return {**_text(1, MAX_NAME), "pattern": pattern, "not": {"enum": sorted(RESERVED)}}


@_schema_of.register
def _(field: SecretName) -> Schema:
    return {"type": "string", "pattern": f"^{NAME}$"}


@_schema_of.register
def _(field: ProjectName) -> Schema:
    return {"type": "string", "pattern": f"^({PROJECT_NAME})?$"}


@_schema_of.register
def _(field: Digest) -> Schema:
    return {"type": "string", "pattern": "^([0-9a-f]{64})?$"}


@_schema_of.register
def _(field: DigestStart) -> Schema:
    return {"type": "string", "pattern": f"^([0-9a-f]{{{SHORT},64}})?$"}


@_schema_of.register
def _(field: SecretValue) -> Schema:
    told = f"At most {MOST_BYTES} bytes in UTF-8. No answer has it."
    return {**_text(LEAST_CHARACTERS, None), "writeOnly": True, "description": told}


@_schema_of.register
def _(field: Whole) -> Schema:
    return whole(field.least, field.most)


@_schema_of.register
def _(field: Truth) -> Schema:
    return {"anyOf": [_TRUTH, {"type": "string", "enum": ["true", "false"]}]}


@_schema_of.register
def _(field: Parameters) -> Schema:
    return {
        "type": "object",
        "additionalProperties": ref("ParameterValue"),
        "description": f"It is nested at most {MAX_DEPTH} levels deep.",
    }


@_schema_of.register
def _(field: Labels) -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}}


@_schema_of.register
def _(field: RoleName) -> Schema:
    return {"type": "string", "enum": [role.value for role in GIVEN]}


@_schema_of.register
def _(field: AlertName) -> Schema:
    return {"type": "string", "pattern": f"^{ALERT_NAME}$"}


@_schema_of.register
def _(field: WhenName) -> Schema:
    return {"type": "string", "enum": [each.value for each in AlertWhen]}


@_schema_of.register
def _(field: ChannelNames) -> Schema:
    name = {"type": "string", "pattern": f"^{ALERT_NAME}$"}
    return {"type": "array", "items": name, "maxItems": MOST_CHANNELS}


@_schema_of.register
def _(field: Amount) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": field.most}


@_schema_of.register
def _(field: OverlapName) -> Schema:
    return {"type": "string", "enum": [overlap.value for overlap in Overlap]}


@_schema_of.register
def _(field: When) -> Schema:
    forms = (r"@every [0-9]{1,9}[smhdw]", r"@at [\s\S]+", r"\s*\S+(\s+\S+){4}\s*")
    return {**_text(field.least, field.most), "pattern": f"^({'|'.join(forms)})$"}


@_schema_of.register
def _(field: Seconds) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": field.most}


@_schema_of.register
def _(field: TaskOf) -> Schema:
    return ref("ScheduledTask")


@_schema_of.register
def _(field: Asked) -> Schema:
    return ref("AskedConstraints")


@_schema_of.register
def _(field: Names) -> Schema:
    return {"type": "array", "items": {"type": "string"}}


@_schema_of.register
def _(field: Weights) -> Schema:
    kinds = ["number", "null"] if field.null else ["number"]
    weight = {"type": kinds, "minimum": 0, "maximum": MAX_WEIGHT}
    return {"type": "object", "additionalProperties": weight}


def _text(least: int, most: int | None) -> Schema:
    bounds: Iterable[tuple[str, int | None]] = (("minLength", least or None), ("maxLength", most))
    return {"type": "string", **{key: bound for key, bound in bounds if bound is not None}}
