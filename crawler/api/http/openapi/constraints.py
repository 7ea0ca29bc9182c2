"""The JSON Schema of the constraints that a client asks for.

`schemas.constraint_json` reads constraints by hand, for speed, so their schema is written by hand
too. It takes its limits from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from crawler.api.http.openapi.answers import Schema
from crawler.api.http.openapi.shapes import closed, whole
from crawler.model.constraints import MOST_AMOUNT, Effect, Operator
from crawler.schemas.constraint_json import (
    MOST_SKEW,
    MOST_TERMS,
    MOST_VALUES,
    MOST_WEIGHT,
    QUANTITY,
)

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_WEIGHT: Schema = {"type": "number", "minimum": 0, "maximum": MOST_WEIGHT}
_PREFERENCE: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_WEIGHT}


def constraints() -> Schema:
    """Return the schema of constraints."""
    return closed(
        {
            "node": _TEXT,
            "requests": _requests(),
            "required": _terms(_expression({})),
            "preferred": _terms(_expression({"weight": _PREFERENCE})),
            "near": _terms(_neighbour()),
            "apart": _terms(_neighbour()),
            "spread": _terms(_spread()),
            "tolerations": _terms(_toleration()),
        }
    )


def _terms(term: Schema) -> Schema:
    return {"type": "array", "items": term, "maxItems": MOST_TERMS}


def _requests() -> Schema:
    amount = {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MOST_AMOUNT,
        "description": "It has at most 3 decimals.",
    }
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{QUANTITY}$", "maxLength": 63},
        "additionalProperties": amount,
        "maxProperties": MOST_TERMS,
    }


def _expression(more: Mapping[str, Schema]) -> Schema:
    """Return the schema of a condition on a label: each operator takes its own values."""
    values: Schema = {"type": "array", "items": _TEXT, "maxItems": MOST_VALUES}
    whole_text = {"type": "string", "pattern": "^-?[0-9]{1,18}$"}
    one_whole = {"type": "array", "items": whole_text, "minItems": 1, "maxItems": 1}
    kinds: Iterable[tuple[list[Operator], Schema, bool]] = (
        ([Operator.IN, Operator.NOT_IN], {**values, "minItems": 1}, True),
        ([Operator.EXISTS, Operator.DOES_NOT_EXIST], {**values, "maxItems": 0}, False),
        ([Operator.GT, Operator.LT], one_whole, True),
    )
    return {
        "oneOf": [
            closed(
                {"label": _NAME, "operator": _names(operators), "values": allowed, **more},
                *("label", "operator", *(["values"] if needed else [])),
            )
            for operators, allowed, needed in kinds
        ]
    }


def _neighbour() -> Schema:
    terms = {"label": _NAME, "value": _value(), "over": _TEXT, "weight": _WEIGHT}
    return closed(terms, "label")


def _spread() -> Schema:
    skew = whole(1, MOST_SKEW)
    terms = {"over": _NAME, "label": _NAME, "value": _value(), "weight": _WEIGHT}
    return closed({**terms, "maxSkew": skew, "max_skew": skew}, "over", "label")


def _toleration() -> Schema:
    effect = {"type": "string", "enum": ["", *(effect.value for effect in Effect)]}
    return closed({"key": _TEXT, "value": _TEXT, "effect": effect})


def _value() -> Schema:
    told = "If it is empty, the task's own value of the label, which the task must have."
    return {**_TEXT, "description": told}


def _names(members: Iterable[Enum]) -> Schema:
    return {"type": "string", "enum": [member.value for member in members]}
