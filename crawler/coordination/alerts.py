"""The rules of alerts and what they found, as etcd stores them. Every master mirrors them.

The leader writes with a fence, and names the revision that it replaces. So a new leader knows what
was found and who was told, and of two decisions about an alert the store takes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from crawler.clock import Clock
from crawler.coordination.decisions import write_mirrored
from crawler.coordination.fields import dump, labels, load_object, number, typed, whole
from crawler.coordination.keys import Keys
from crawler.coordination.mirror import Mirror
from crawler.coordination.store import Get, KeyValue, Put, Store, unchanged
from crawler.errors import Retryable
from crawler.model.alerts import MOST_FOR_S, MOST_LIMIT, Alert, AlertRule, When
from crawler.model.records import Leadership

Stored = AlertRule | Alert | int


class Alerts:
    """The mirror of the rules and the alerts, and the way to change them."""

    def __init__(self, store: Store, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self.mirror: Mirror[Stored] = Mirror(store, keys.alerts, partial(decode, keys), clock)

    def rules(self) -> Mapping[str, AlertRule]:
        """Return the rules that were set over the API, by name."""
        found = self.mirror.values.values()
        return {each.name: each for each in found if isinstance(each, AlertRule)}

    def found(self) -> Mapping[str, Alert]:
        """Return what the rules have found, by the keys of the alerts."""
        return {each.key: each for each in self.mirror.values.values() if isinstance(each, Alert)}

    def answers(self) -> bool:
        """Whether the store answers now."""
        try:
            self._store.txn([], [Get(self._keys.alert_mark)])
        except Retryable:
            return False
        return True

    def mark(self) -> int:
        """Return up to which revision of etcd the ends of runs were judged; 0 if none was."""
        found = self.mirror.values.get(self._keys.alert_mark)
        return found if isinstance(found, int) else 0

    def set_mark(self, leadership: Leadership, revision: int) -> None:
        """Store up to which revision the ends of runs were judged. Raises as `put` does."""
        key = self._keys.alert_mark
        self._write(leadership, key, dump({"Revision": revision}), "the mark of alerts")

    def put_rule(self, leadership: Leadership, rule: AlertRule) -> None:
        """Store a rule. Raises as `put` does."""
        key = self._keys.alert_rule(rule.name)
        self._write(leadership, key, encode_rule(rule), f"rule {rule.name!r}")

    def remove_rule(self, leadership: Leadership, name: str) -> None:
        """Remove a rule. Raises as `put` does."""
        self._write(leadership, self._keys.alert_rule(name), None, f"rule {name!r}")

    def put(self, leadership: Leadership, alert: Alert) -> None:
        """Store an alert in place of the value that it was read from.

        Raises Conflict if another value was stored meanwhile, LeadershipLost, Retryable,
        StoreRefused.
        """
        key = self._keys.alert(alert.key)
        self._write(leadership, key, encode(alert), "an alert", alert.mod_revision)

    def remove(self, leadership: Leadership, alert: Alert) -> None:
        """Forget an alert. Raises as `put` does."""
        key = self._keys.alert(alert.key)
        self._write(leadership, key, None, "an alert", alert.mod_revision)

    def put_alone(self, alert: Alert) -> Alert | None:
        """Store an alert without leading, in place of the value that it was read from. Return it as
        it is stored; None if somebody else was faster. Raises Retryable."""
        key = self._keys.alert(alert.key)
        value, based_on = encode(alert), alert.mod_revision
        result = self._store.txn([unchanged(key, based_on)], [Put(key, value)], [Get(key)])
        if not result.succeeded:
            there = result.gets[0]
            self.mirror.apply(key, there, there.mod_revision if there else result.revision)
            return None
        self.mirror.apply(key, KeyValue(key, value, 0, result.revision), result.revision)
        return replace(alert, mod_revision=result.revision)

    def _write(
        self,
        leadership: Leadership,
        key: str,
        value: bytes | None,
        what: str,
        based_on: int | None = None,
    ) -> None:
        if based_on is None:
            read = self._store.txn([], [Get(key)])
            based_on = read.gets[0].mod_revision if read.gets[0] else 0
        write_mirrored(self._store, self.mirror, leadership, key, value, based_on, what)


def encode_rule(rule: AlertRule) -> bytes:
    """Encode a rule."""
    return dump(
        {
            "Name": rule.name,
            "When": rule.when.value,
            "Labels": dict(rule.labels),
            "Channels": list(rule.channels),
            "Limit": rule.limit,
            "For": rule.for_s,
            "SetBy": rule.set_by,
        }
    )


def encode(alert: Alert) -> bytes:
    """Encode an alert."""
    return dump(
        {
            "Rule": alert.rule,
            "When": alert.when.value,
            "Subject": alert.subject,
            "Mark": alert.mark,
            "Text": alert.text,
            "Labels": dict(alert.labels),
            "Since": alert.since_ns,
            "Recovered": alert.recovered_ns,
            "Recovery": alert.recovery,
            "Owed": list(alert.owed),
        }
    )


def decode(keys: Keys, kv: KeyValue) -> Stored | None:
    """Decode a value for a mirror; None for other keys below the prefix. Raises ValueError."""
    if kv.key == keys.alert_mark:
        return whole(load_object(kv.value), "Revision")
    if kv.key.startswith(keys.alert_rule("")):
        return _rule_of(kv.key.removeprefix(keys.alert_rule("")), load_object(kv.value))
    if kv.key.startswith(keys.alert("")):
        return _alert_of(load_object(kv.value), kv.mod_revision)
    return None


def _rule_of(name: str, value: Mapping[str, Any]) -> AlertRule:
    return AlertRule(
        name,
        When(value.get("When")),
        labels(typed(value, "Labels", dict, {})),
        _texts(value, "Channels"),
        number(value, "Limit", 0, MOST_LIMIT),
        number(value, "For", 0, MOST_FOR_S),
        typed(value, "SetBy", str, ""),
    )


def _alert_of(value: Mapping[str, Any], revision: int) -> Alert:
    return Alert(
        typed(value, "Rule", str, ""),
        When(value.get("When")),
        typed(value, "Subject", str, ""),
        typed(value, "Mark", str, ""),
        typed(value, "Text", str, ""),
        whole(value, "Since"),
        labels(typed(value, "Labels", dict, {})),
        whole(value, "Recovered"),
        typed(value, "Recovery", str, ""),
        _texts(value, "Owed"),
        revision,
    )


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found: Sequence[Any] = typed(value, key, list, [])
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"{key} is {found!r:.80}; a list of texts is allowed")
    return tuple(found)
