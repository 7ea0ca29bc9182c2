"""Alerts: what somebody wants to be told of, and what is the matter now."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crawler.model.records import NO_LABELS

MOST_RULES = 1_000
"""How many rules may be set over the API."""
MOST_LIMIT = 1_000_000.0
MOST_FOR_S = 30 * 86_400.0


class When(enum.Enum):
    """What a rule watches for."""

    FAILED = "failed"
    """A run of a task failed."""
    FEW_ITEMS = "few-items"
    """A run ended with fewer items than the runs of its task before."""
    LATE = "late"
    """A run takes longer than the runs of its task before, or a schedule did not fire."""
    FAILURES = "failures"
    """A large share of the requests of a run failed."""
    WAITING = "waiting"
    """A task has no worker: none suits it, or it is parked."""
    NO_WORKER = "no-worker"
    """The cluster has no worker."""
    NO_LEADER = "no-leader"
    """No master that leads answers."""
    DISK = "disk"
    """The disk of a worker is nearly full."""


OF_CLUSTER = frozenset({When.NO_WORKER, When.NO_LEADER, When.DISK})
"""These concern no single task, so labels do not matter."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What a rule of a kind has if it says nothing else."""

    limit: float
    for_s: float
    meaning: str
    """What `limit` means; empty if it means nothing."""


USUAL: Mapping[When, Usual] = {
    When.FAILED: Usual(0.0, 0.0, ""),
    When.FEW_ITEMS: Usual(0.5, 0.0, "share of the usual number of items"),
    When.LATE: Usual(2.0, 60.0, "multiple of the usual time of a run"),
    When.FAILURES: Usual(0.5, 0.0, "share of the requests of a run"),
    When.WAITING: Usual(0.0, 300.0, ""),
    When.NO_WORKER: Usual(0.0, 30.0, ""),
    When.NO_LEADER: Usual(0.0, 30.0, ""),
    When.DISK: Usual(0.9, 60.0, "share of the disk that is in use"),
}


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What somebody wants to be told of."""

    name: str
    when: When
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    """The labels that a task must have."""
    channels: tuple[str, ...] = ()
    """Who is told; empty means every channel."""
    limit: float = 0.0
    """What counts as too much or too little; `USUAL` says what it means. 0 means the usual one."""
    for_s: float = 0.0
    """For how many seconds it must last before anybody is told. 0 means the usual time."""
    set_by: str = ""
    """Who set it over the API; empty for a rule of the settings."""

    @property
    def bound(self) -> float:
        """The limit that counts."""
        return self.limit or USUAL[self.when].limit

    @property
    def patience_s(self) -> float:
        """How many seconds it must last."""
        return self.for_s or USUAL[self.when].for_s


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a rule has found."""

    rule: str
    when: When
    subject: str
    """What it is about: `task NAME`, `schedule NAME`, `worker ID` or `cluster`."""
    mark: str
    """Which run or time of the subject it is about. With another mark it is another alert."""
    text: str
    since_ns: int
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    """Those of the task."""
    recovered_ns: int = 0
    """When it was over; 0 while it is not."""
    recovery: str = ""
    """How it was over, in words."""
    owed: tuple[str, ...] = ()
    """The channels that were not told of its present state yet."""
    mod_revision: int = 0

    @property
    def key(self) -> str:
        """What a rule and a subject have one of."""
        return _digest(self.rule, self.subject)

    @property
    def id(self) -> str:
        """The id of the alert. Whoever is told of it twice sees it by that."""
        return _digest(self.rule, self.subject, self.mark)

    @property
    def fires(self) -> bool:
        """Whether it is not over."""
        return not self.recovered_ns

    def recovered(self, now_ns: int, how: str, channels: tuple[str, ...]) -> Alert:
        """Return the alert as over. The channels are to be told."""
        return replace(self, recovered_ns=now_ns, recovery=how, owed=channels)

    def told(self, channel: str) -> Alert:
        """Return the alert after a channel was told of it."""
        return replace(self, owed=tuple(each for each in self.owed if each != channel))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]
