"""What a client may send to steer the scheduler, for gRPC and HTTP alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load

from crawler.errors import InvalidArgument, shown
from crawler.parameters import is_text
from crawler.schemas import Request, Text
from crawler.steering import PolicyChange

MAX_WEIGHT = 10**9
"""Largest weight of a plugin."""


class Names(fields.Field[frozenset[str]]):
    """A list of names."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> frozenset[str]:
        if not isinstance(value, list) or not all(map(is_text, value)):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a list of names")
        return frozenset(value)


class Weights(fields.Field[dict[str, float]]):
    """A map from names to numbers."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> dict[str, float]:
        if not isinstance(value, Mapping):
            raise ValidationError(f"{shown(value)} is not allowed; allowed is a map to numbers")
        for name, weight in value.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 <= weight <= MAX_WEIGHT:
                raise ValidationError(
                    f"{shown(weight)} at {shown(name)} is not allowed; "
                    f"allowed is a number from 0 to {MAX_WEIGHT}"
                )
        return {name: float(weight) for name, weight in value.items()}


class PolicySchema(Request):
    """How tasks are to be placed; what else a client was sent of the scheduler, it may send on."""

    strategy = Text(least=1, load_default=None)
    disabled = Names(load_default=None)
    weights = Weights(load_default=None)
    strategies = fields.Raw()
    plugins = fields.Raw()
    switched = fields.Raw()
    fault = fields.Raw()

    @post_load
    def _record(self, data: dict[str, Any], **kwargs: Any) -> PolicyChange:
        return PolicyChange(data["strategy"], data["disabled"], data["weights"])


def load_policy(given: Mapping[str, Any]) -> PolicyChange:
    """How tasks are to be placed. Raises InvalidArgument naming every fault."""
    change: PolicyChange = PolicySchema().read(given)
    return change


def load_node(node: str) -> str:
    """The worker meant. Raises InvalidArgument."""
    if not node or not is_text(node) or "/" in node:
        raise InvalidArgument(
            f"node: {shown(node)} is not allowed; allowed is the id or the name of a worker"
        )
    return node
