"""Converts rules and alerts to messages, and back."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.model.alerts import Alert, AlertRule, When
from crawler.proto import crawler_pb2 as pb


def rule_message(rule: AlertRule) -> pb.AlertRule:
    """Return a rule as a message."""
    return pb.AlertRule(**fields.of_alert_rule(rule))


def rule_fields(message: pb.AlertRule) -> dict[str, Any]:
    """Return the fields of a request for `alert_schemas.load_rule`."""
    return {
        "name": message.name,
        "when": message.when,
        "labels": dict(message.labels),
        "channels": list(message.channels),
        "limit": message.limit,
        "for_s": message.for_s,
    }


def rule_from(message: pb.AlertRule) -> AlertRule:
    """Return the rule of a message."""
    return AlertRule(
        message.name,
        When(message.when),
        dict(message.labels),
        tuple(message.channels),
        message.limit,
        message.for_s,
        message.set_by,
    )


def alert_message(alert: Alert) -> pb.Alert:
    """Return an alert as a message."""
    return pb.Alert(**fields.of_alert(alert))


def alert_from(message: pb.Alert) -> Alert:
    """Return the alert of a message."""
    return Alert(
        *(message.rule, When(message.when), message.subject, message.mark, message.text),
        message.since,
        dict(message.labels),
        message.recovered,
        message.recovery,
        tuple(message.owed),
    )
