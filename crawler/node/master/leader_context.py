"""The leader context: one object with all that the parts of a term share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.api.trail import Trail
from crawler.clock import Clock
from crawler.coordination.alerts import Alerts
from crawler.coordination.election import Election
from crawler.coordination.lease import Lease
from crawler.coordination.ledger import Ledger
from crawler.coordination.projects import Projects
from crawler.coordination.schedules import Schedules
from crawler.coordination.secrets import Secrets
from crawler.coordination.tokens import Tokens
from crawler.coordination.tombstones import Tombstones
from crawler.history.history import History, NoHistory
from crawler.model.records import Leadership
from crawler.node.master.mirrors import Mirrors
from crawler.scheduler.framework import Framework
from crawler.settings.deploy import DeploySettings
from crawler.settings.scheduler import SchedulerSettings
from crawler.tracing.tracing import NoTracing, Tracing


@dataclass(slots=True)
class Refusals:
    """What a master has refused as the leader, in all its terms."""

    reports: int = 0
    """How many reports of outdated assignments it refused."""
    on_full: Callable[[], None] = lambda: None
    """Called for each request that is refused because too many wait."""


@dataclass(frozen=True, slots=True)
class LeaderContext:
    """A term, and the parts of the master that serve it."""

    leadership: Leadership
    """The proof of leadership that fences each write."""
    lease: Lease
    """The lease of this master. The term ends with it."""
    number: int
    """The number of this master, which is part of each id that it gives out."""
    mirrors: Mirrors
    ledger: Ledger
    tombstones: Tombstones
    tokens: Tokens
    secrets: Secrets
    schedules: Schedules
    projects: Projects
    alerts: Alerts
    alert_rules: Rules
    channels: Channels
    election: Election
    framework: Framework
    clock: Clock
    settings: SchedulerSettings
    refusals: Refusals
    trail: Trail = field(default_factory=Trail)
    """The audit of this master."""
    keep_versions: int = DeploySettings().keep
    """How many versions of a project are kept."""
    history: History = field(default_factory=NoHistory)
    """The history of the tasks."""
    tracing: Tracing = field(default_factory=NoTracing)
    """The traces of this master."""
    shares_states: bool = False
    """Whether the states of tasks are in a Redis that all workers share, so that a task can run on
    several workers at once."""
