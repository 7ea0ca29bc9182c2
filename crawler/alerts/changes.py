"""Says which alerts change, by what the rules found. Pure functions.

Each alert is told once, and once more when it is over: what was stored before decides, so it does
not matter which leader looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from crawler.model.alerts import OF_CLUSTER, Alert, AlertRule, When
from crawler.model.records import NO_LABELS

MOST_FIRING = 1_000
"""How many alerts about tasks and schedules fire at once at most."""
KEPT_NS = 86_400 * 1_000_000_000
"""How long an alert is kept that is over, and how long it is tried to tell somebody of one."""
MOST_TEXT = 2_000
"""How many characters the text of an alert has that tells of several runs."""
MOST_OVER = 1_000
"""How many alerts are kept that are over."""

AT_END = frozenset({When.FAILED, When.FEW_ITEMS, When.FAILURES})
"""These last until a later run of the task ends well."""


class Key(NamedTuple):
    """A rule, and what it is about."""

    rule: str
    subject: str


class Finding(NamedTuple):
    """Something is wrong now."""

    rule: AlertRule
    subject: str
    text: str
    mark: str = ""
    """Which run of the subject it is about; empty if it lasts until it is found no more."""
    labels: Mapping[str, str] = NO_LABELS

    @property
    def key(self) -> Key:
        """The rule, and what it is about."""
        return Key(self.rule.name, self.subject)


@dataclass(slots=True)
class Look:
    """What one look at the cluster has found."""

    findings: list[Finding] = field(default_factory=list)
    over: dict[Key, str] = field(default_factory=dict)
    """What is known to be well now, and why."""

    def judge(self, finding: Finding, well: str = "") -> None:
        """Take what was found. Without a text, it is over, for the reason `well`, if there is
        one."""
        if finding.text:
            self.findings.append(finding)
        elif well:
            self.over[finding.key] = well


class Patience:
    """Knows since when each finding without a mark has lasted."""

    def __init__(self) -> None:
        self._since: dict[Key, float] = {}

    def lasting(self, findings: Iterable[Finding], now_s: float) -> list[Finding]:
        """Return the findings that have lasted long enough. `now_s` is monotonic."""
        found = list(findings)
        before = self._since
        self._since = {each.key: before.get(each.key, now_s) for each in found if not each.mark}
        return [
            each
            for each in found
            if each.mark or now_s - self._since[each.key] >= each.rule.patience_s
        ]


class Changes(NamedTuple):
    """What a look changes."""

    changed: list[Alert]
    """The alerts that begin or are over."""
    gone: list[Alert]
    """The alerts that make way for new ones: they are forgotten, and nobody is told."""
    dropped: int
    """How many more alerts would begin but for the limit."""


def changes(
    known: Iterable[Alert],
    look: Look,
    lasting: Sequence[Finding],
    now_ns: int,
    channels_of: Callable[[str], tuple[str, ...]],
) -> Changes:
    """Return what a look changes.

    `lasting` are the findings that have lasted long enough, `channels_of` tells whom to tell of
    what a rule finds.
    """
    by_key = {Key(each.rule, each.subject): each for each in known}
    wrong = {each.key for each in look.findings}
    over = {
        key: alert.recovered(now_ns, how, channels_of(alert.rule))
        for key, alert in by_key.items()
        if alert.fires and key not in wrong and (how := _how_over(alert, look.over.get(key, "")))
    }
    begun = {
        finding.key: made
        for finding in lasting
        if (made := _begun(finding, by_key.get(finding.key), now_ns, channels_of)) is not None
    }
    firing = {key: each for key, each in by_key.items() if each.fires and key not in over}
    need = [key for key, each in begun.items() if key not in firing and _is_limited(each)]
    room = max(0, MOST_FIRING - len(firing))
    gone = _making_way(firing.keys() - begun.keys(), firing, len(need) - room)
    dropped = need[room + len(gone) :]
    for key in dropped:
        del begun[key]
    return Changes([*over.values(), *begun.values()], gone, len(dropped))


def _is_limited(alert: Alert) -> bool:
    """Whether it needs a place: there may be one for each task, but few about the cluster."""
    return alert.when not in OF_CLUSTER


def _making_way(keys: Iterable[Key], firing: Mapping[Key, Alert], count: int) -> list[Alert]:
    """Return up to so many of these alerts, the oldest first, that were told and may fire for ever:
    most tasks that fail are never run again."""
    if count <= 0:
        return []
    found = [firing[key] for key in keys if firing[key].when in AT_END and not firing[key].owed]
    return sorted(found, key=lambda each: (each.since_ns, each.id))[:count]


def forgotten(known: Iterable[Alert], now_ns: int) -> list[Alert]:
    """Return the alerts that nobody needs any more."""
    over = sorted((each for each in known if not each.fires), key=lambda each: each.recovered_ns)
    surplus = len(over) - MOST_OVER
    return [
        each
        for number, each in enumerate(over)
        if now_ns - each.recovered_ns > KEPT_NS or (number < surplus and not each.owed)
    ]


def _how_over(alert: Alert, told: str) -> str:
    """Return why an alert is over that was not found again; empty if it is not."""
    if told or alert.when in AT_END:
        return told
    return "it is over"


def _begun(
    finding: Finding,
    known: Alert | None,
    now_ns: int,
    channels_of: Callable[[str], tuple[str, ...]],
) -> Alert | None:
    """Return the alert of a finding, if it is not known."""
    if known is not None and (known.mark == finding.mark or (known.fires and not finding.mark)):
        return None
    if known is not None and _is_earlier(finding.mark, known.mark):
        return None
    alert = Alert(
        finding.rule.name,
        finding.rule.when,
        finding.subject,
        finding.mark or f"since {now_ns}",
        _text(finding, known),
        now_ns,
        finding.labels,
        owed=channels_of(finding.rule.name),
    )
    return alert if known is None else replace(alert, mod_revision=known.mod_revision)


def _text(finding: Finding, known: Alert | None) -> str:
    """Return what to tell. Only the last alert of a subject is kept: if somebody was not told of
    the one before yet, about an earlier run, its text follows."""
    if known is None or not known.owed or known.when not in AT_END:
        return finding.text
    return f"{finding.text}; an earlier run, too: {known.text}"[:MOST_TEXT]


def _is_earlier(mark: str, known: str) -> bool:
    """Whether a run was before another one of the same task."""
    mine, theirs = mark.rsplit("/", 2), known.rsplit("/", 2)
    return len(mine) == len(theirs) == 3 and mine[0] == theirs[0] and int(mine[1]) < int(theirs[1])
