"""What a client may send to change the policy of the scheduler, for gRPC and HTTP alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from crawler.errors import InvalidArgument, shown
from crawler.model.policy import PolicyChange
from crawler.schemas.parameters import is_text
from crawler.schemas.task_fields import Text
from crawler.schemas.task_schemas import Request

_CHANGES = [field.name for field in dataclasses.fields(PolicyChange)]

MAX_WEIGHT = 10**9
"""The largest weight of a plugin."""


class Names(fields.Field[frozenset[str]]):
    """A list of names."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> frozenset[str]:
        if not isinstance(value, list) or not all(map(is_text, value)):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a list of names")
        return frozenset(value)


class Weights(fields.Field[dict[str, float | None]]):
    """A map from names to numbers, or to null if that means the plugin's own weight."""

    def __init__(self, *, null: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.null = null

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> dict[str, float | None]:
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a map to numbers")
        return {name: self._weight(name, weight) for name, weight in value.items()}

    def _weight(self, name: Any, weight: Any) -> float | None:
        if weight is None and self.null:
            return None
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= MAX_WEIGHT:
            own = ", or null for the plugin's own" if self.null else ""
            raise ValidationError(
                f"{shown(weight)} at {shown(name)} is not allowed; "
                f"allowed is a number from 0 to {MAX_WEIGHT}{own}"
            )
        return float(weight)


class PolicySchema(Request):
    """A change of the policy. A client may also send back the other fields that it got about the
    scheduler."""

    strategy = Text(least=1, load_default=None)
    disabled = Names(load_default=None)
    weights = Weights(load_default=None)
    disable = Names(load_default=frozenset())
    enable = Names(load_default=frozenset())
    weigh = Weights(null=True, load_default=dict)
    strategies = fields.Raw()
    plugins = fields.Raw()
    switched = fields.Raw()
    fault = fields.Raw()

    @validates_schema
    def _check_both(self, data: dict[str, Any], **kwargs: Any) -> None:
        both = sorted(data["disable"] & data["enable"])
        if both:
            raise ValidationError(f"{shown(both[0])} is to be disabled too; give one", "enable")

    def _record(self, data: dict[str, Any]) -> PolicyChange:
        return PolicyChange(**{each: data[each] for each in _CHANGES})


def load_policy(given: Mapping[str, Any]) -> PolicyChange:
    """Read a change of the policy. Raises InvalidArgument, which names every fault."""
    change: PolicyChange = PolicySchema().read(given)
    return change


def load_node(node: str) -> str:
    """Read the name of a worker. Raises InvalidArgument."""
    if not node or not is_text(node) or "/" in node:
        raise InvalidArgument(
            f"node: {shown(node)} is not allowed; allowed is the id or the name of a worker"
        )
    return node
