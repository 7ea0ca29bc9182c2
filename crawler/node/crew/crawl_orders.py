"""What a worker tells a crawl process before anything else."""

from __future__ import annotations

from dataclasses import dataclass, field

from crawler.node.crew.program import Program
from crawler.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class Orders:
    """What a crawl process must know before it begins."""

    settings: Settings
    """Those of the worker, without its secrets for etcd and the API, and without its keys."""
    number: int
    tell_s: float
    """How often it tells the counts of its runs."""
    share: int
    """Of so many processes it is one. They divide the memory for responses."""
    program: Program = field(default_factory=Program)
    """What it loads."""
    lease_s: float = 0.0
    """How long it owns a host after it has told that; 0 if it shares no hosts within the worker."""
