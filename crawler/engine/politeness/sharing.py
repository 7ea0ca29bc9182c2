"""What workers share of hosts."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.engine.politeness.host_register import HostRegister
from crawler.engine.politeness.robots_shelf import RobotsShelf


@dataclass(frozen=True, slots=True)
class SharedHosts:
    """What this worker shares with all others that crawl the same hosts."""

    register: HostRegister
    """Says which of them may send to which host."""
    shelf: RobotsShelf
    """Has the robots.txt files that any of them has fetched."""
    name: str
    """Tells this process from all others."""
