"""The paths of alerts and their rules."""

from __future__ import annotations

from flask import Response

from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, backend, body_of, named_in_path, present_call
from crawler.schemas import alert_schemas


@api.get("/alerts")
def alerts() -> Response:
    """Return the alerts that fire, and those that were over lately."""
    call = present_call()
    return answer(bodies.alerts(backend(call).alerts(call)))


@api.get("/alerts/rules")
def alert_rules() -> Response:
    """Return all rules, by name."""
    call = present_call()
    return answer(bodies.alert_rules(backend(call).alert_rules(call)))


@api.put("/alerts/rules/<name>")
def set_alert_rule(name: str) -> Response:
    """Set a rule."""
    call = present_call()
    rule = alert_schemas.load_rule(named_in_path(name, body_of(call)))
    return answer(bodies.alert_rule(backend(call).set_alert_rule(rule, call)))


@api.delete("/alerts/rules/<name>")
def delete_alert_rule(name: str) -> Response:
    """Remove a rule, and return it."""
    call = present_call()
    named = alert_schemas.load_alert_name(name)
    return answer(bodies.alert_rule(backend(call).delete_alert_rule(named, call)))


@api.post("/alerts/channels/<name>/test")
def test_alert(name: str) -> Response:
    """Send a message to a channel that says that it is a test."""
    call = present_call()
    backend(call).test_alert(alert_schemas.load_alert_name(name), call)
    return answer({})
