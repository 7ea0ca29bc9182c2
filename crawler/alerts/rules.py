"""The rules that count: those of the settings, and those that were set over the API."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.model.alerts import AlertRule
from crawler.settings.alerts import AlertSettings


class Rules:
    """The rules of a master. One that was set over the API replaces one of the settings with the
    same name."""

    def __init__(self, settings: AlertSettings) -> None:
        self._channels = tuple(settings.channels)
        self.given: Mapping[str, AlertRule] = {each.name: each.rule() for each in settings.rules}
        """The rules of the settings."""

    def all(self, stored: Mapping[str, AlertRule]) -> Mapping[str, AlertRule]:
        """Return all rules by name. `stored` are those that were set over the API."""
        return {**self.given, **stored}

    def channels_of(self, rule: AlertRule) -> tuple[str, ...]:
        """Return whom to tell of what a rule finds. A channel that this master does not have is
        left out."""
        wanted = rule.channels or self._channels
        return tuple(each for each in wanted if each in self._channels)
