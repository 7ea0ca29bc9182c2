"""What a term of leadership works with: one object for all that act as the leader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crawler.clock import Clock
from crawler.coordination.election import Election
from crawler.coordination.lease import Lease
from crawler.coordination.ledger import Ledger
from crawler.coordination.tombstones import Tombstones
from crawler.model.records import Leadership
from crawler.node.master.mirrors import Mirrors
from crawler.scheduler.framework import Framework
from crawler.settings.sections import SchedulerSettings


@dataclass(slots=True)
class Refusals:
    """What a master has refused as the leader, in all its terms."""

    reports: int = 0
    """Reports of an assignment that is out of date."""
    on_full: Callable[[], None] = lambda: None
    """Called for each request that is refused because too many wait."""


@dataclass(frozen=True, slots=True)
class LeaderContext:
    """A term, and the parts of the master that serve it."""

    leadership: Leadership
    """Shown with each write."""
    lease: Lease
    """The term ends with it."""
    number: int
    """Of this master, in the ids that it mints."""
    mirrors: Mirrors
    ledger: Ledger
    tombstones: Tombstones
    election: Election
    framework: Framework
    clock: Clock
    settings: SchedulerSettings
    refusals: Refusals
