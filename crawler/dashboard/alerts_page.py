"""Alerts: what is the matter, what is over, and the rules by which the cluster tells people."""

from __future__ import annotations

from flask import Response, request

from crawler.api.backend import Call
from crawler.dashboard.asked import action, backend, call, field, page, shared, show, stream
from crawler.dashboard.live import Shown
from crawler.dashboard.writing import part
from crawler.errors import InvalidArgument, shown
from crawler.model import audit
from crawler.model.access import Need
from crawler.model.alerts import USUAL, When
from crawler.schemas import task_schemas
from crawler.schemas.alert_schemas import load_alert_name, load_rule


@page("/alerts")
def alerts() -> Response:
    """Show what the rules found, and the rules."""
    asking = call()
    asked = backend(asking)
    return show(
        "alerts.html",
        found=asked.alerts(asking),
        rules=asked.alert_rules(asking),
        kinds=[(each.value, USUAL[each]) for each in When],
    )


@page("/alerts/live")
def alerts_live() -> Response:
    """Follow what the rules find."""
    service = shared().service

    def look(call: Call) -> Shown:
        found = service.backend(call).alerts(call)
        return Shown({"alerts": part("alert_parts.html", "alerts", found)})

    return stream("alerts", look)


@action("/alerts/rules", Need.TASKS, audit.ALERT_RULE_SET)
def set_rule() -> str:
    """Set a rule."""
    given = {
        "name": field("name"),
        "when": field("when"),
        "labels": dict(map(task_schemas.load_label, request.form.get("labels", "").split())),
        "channels": request.form.get("channels", "").split(),
        "limit": _number("limit"),
        "for_s": _number("for_s"),
    }
    asking = call()
    found = backend(asking).set_alert_rule(load_rule(given), asking)
    return f"The rule {found.name} is set."


@action("/alerts/rules/<name>/delete", Need.TASKS, audit.ALERT_RULE_DELETE)
def delete_rule(name: str) -> str:
    """Remove a rule."""
    asking = call()
    backend(asking).delete_alert_rule(load_alert_name(name), asking)
    return f"The rule {name} is removed."


@action("/alerts/test", Need.TASKS, audit.ALERT_TEST)
def test_channel() -> str:
    """Send a test to a channel."""
    asking, channel = call(), load_alert_name(field("channel"))
    backend(asking).test_alert(channel, asking)
    return f"The channel {channel} took the message."


def _number(name: str) -> float:
    given = request.form.get(name, "").strip()
    try:
        return float(given) if given else 0.0
    except ValueError:
        raise InvalidArgument(f"{name}: {shown(given)} is not allowed; a number is") from None
