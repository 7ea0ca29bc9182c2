"""Carries out requests about alerts for one term: rules, what they found, and tests of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crawler.alerts.sending import Unsent
from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.model.alerts import MOST_RULES, Alert, AlertRule
from crawler.node.master.leader_context import LeaderContext


class AlertRequests:
    """Stores and removes rules, in the greenlet of the request."""

    def __init__(self, ctx: LeaderContext) -> None:
        self._ctx = ctx
        self._alerts = ctx.alerts

    def put(self, rule: AlertRule, who: str) -> AlertRule:
        """Set a rule. Raises InvalidArgument, Conflict, LeadershipLost, Retryable."""
        known = self._ctx.channels.names
        for channel in rule.channels:
            if channel not in known:
                allowed = ", ".join(known) or "none, as alerts.channels of the settings is empty"
                raise InvalidArgument(f"channels: {channel!r} is not allowed; allowed: {allowed}")
        stored = self._alerts.rules()
        if rule.name not in stored and len(stored) >= MOST_RULES:
            raise InvalidArgument(
                f"name: there are {MOST_RULES} rules already, and more are not allowed; delete one:"
                " crawler alert rule delete"
            )
        found = replace(rule, set_by=who)
        self._alerts.put_rule(self._ctx.leadership, found)
        return found

    def rules(self) -> Sequence[AlertRule]:
        """Return all rules, by name."""
        found = self._ctx.alert_rules.all(self._alerts.rules())
        return [rule for _, rule in sorted(found.items())]

    def remove(self, name: str) -> AlertRule:
        """Remove a rule that was set over the API, and return it. Raises NotFound,
        InvalidArgument."""
        found = self._alerts.rules().get(name)
        if found is None and name in self._ctx.alert_rules.given:
            raise InvalidArgument(
                f"name: {name!r} is a rule of the settings; remove it from alerts.rules of the"
                " masters"
            )
        if found is None:
            raise NotFound(f"no rule {name!r}; `crawler alert rule list` shows all that there are")
        self._alerts.remove_rule(self._ctx.leadership, name)
        return found

    def alerts(self) -> Sequence[Alert]:
        """Return the alerts: those that fire first, of each kind the latest first."""
        found = self._alerts.found().values()
        return sorted(found, key=lambda a: (not a.fires, -(a.recovered_ns or a.since_ns), a.id))

    def test(self, channel: str) -> None:
        """Send a test to a channel. Raises NotFound, and Unavailable if it takes none."""
        known = self._ctx.channels.names
        if channel not in known:
            raise NotFound(f"no channel {channel!r}; there are: {', '.join(known) or 'none'}")
        try:
            self._ctx.channels.test(channel)
        except Unsent as error:
            raise Unavailable(f"channel {channel!r} takes no message: {error}") from None
