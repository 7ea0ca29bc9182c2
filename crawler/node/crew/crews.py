"""Chooses the crew of a worker by its settings."""

from __future__ import annotations

from pathlib import Path

from crawler.clock import Clock
from crawler.node.crew.crew import Crew
from crawler.node.guard.guard import Guard
from crawler.node.run.sharing import Sharing
from crawler.node.run.states import TaskStates
from crawler.settings.sections import Settings
from crawler.settings.worker import IN_PROCESS


def crew_of(
    settings: Settings, clock: Clock, sharing: Sharing, states: TaskStates, guard: Guard
) -> Crew:
    """Make the crew of a worker. The guard ends its processes when the worker cannot.

    Raises ConfigError for spiders that cannot be loaded here.
    """
    if settings.worker.processes != IN_PROCESS:
        from crawler.node.crew.processes import Processes

        return Processes(settings, clock, guard)
    # A worker whose crawls are in other processes needs none of this.
    from crawler.engine.items.sinks.factory import Sinks
    from crawler.node.crew.in_process import InProcess
    from crawler.node.run.engine_of import engine_of

    items = Path(settings.folder, settings.worker.items)
    engine = engine_of(settings, clock, sharing.hosts)
    return InProcess(engine, Sinks(settings.worker.databases), items, states)
