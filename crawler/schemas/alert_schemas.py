"""What a client may send about alerts, for gRPC and HTTP alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from crawler.errors import shown
from crawler.model.alerts import MOST_FOR_S, MOST_LIMIT, AlertRule, When
from crawler.schemas.task_fields import MISSING, Labels
from crawler.schemas.task_schemas import Request

NAME = r"[A-Za-z0-9._-]{1,64}"
MOST_CHANNELS = 100


class AlertName(fields.Field[str]):
    """The name of a rule or a channel."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(NAME, value) is None:
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed are 1 to 64 letters, digits, dots, dashes"
            )
        return value


class WhenName(fields.Field[When]):
    """What a rule watches for."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> When:
        for when in When:
            if value == when.value:
                return when
        allowed = ", ".join(when.value for when in When)
        raise ValidationError(f"{shown(value)} is not allowed; allowed: {allowed}")


class Amount(fields.Field[float]):
    """A number from 0 on."""

    def __init__(self, most: float, **more: Any) -> None:
        super().__init__(**more)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= self.most or not math.isfinite(value):
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed is a number from 0 to {self.most:.0f}"
            )
        return float(value)


class ChannelNames(fields.Field[tuple[str, ...]]):
    """The names of channels."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Any, **kwargs: Any
    ) -> tuple[str, ...]:
        is_list = isinstance(value, list) and len(value) <= MOST_CHANNELS
        if not is_list or not all(isinstance(e, str) and re.fullmatch(NAME, e) for e in value):
            raise ValidationError(
                f"{shown(value)} is not allowed; allowed is a list of up to {MOST_CHANNELS} names"
                " of channels"
            )
        return tuple(value)


class AlertRuleSchema(Request):
    """An AlertRule. A client may also send back the other fields that it got."""

    ignored = frozenset({"set_by", "setBy"})
    name = AlertName(required=True, error_messages=MISSING)
    when = WhenName(required=True, error_messages=MISSING)
    labels = Labels(load_default=dict)
    channels = ChannelNames(load_default=tuple)
    limit = Amount(MOST_LIMIT, load_default=0.0)
    for_s = Amount(MOST_FOR_S, load_default=0.0)

    def _record(self, data: dict[str, Any]) -> AlertRule:
        return AlertRule(**data)


class AlertNameSchema(Request):
    """The name of a rule or a channel alone."""

    name = AlertName(required=True, error_messages=MISSING)

    def _record(self, data: dict[str, Any]) -> str:
        return str(data["name"])


def load_rule(given: Mapping[str, Any]) -> AlertRule:
    """Read which rule somebody sets. Raises InvalidArgument, which names every fault."""
    rule: AlertRule = AlertRuleSchema().read(given)
    return rule


def load_alert_name(name: str) -> str:
    """Read the name of a rule or a channel. Raises InvalidArgument."""
    found: str = AlertNameSchema().read({"name": name})
    return found
