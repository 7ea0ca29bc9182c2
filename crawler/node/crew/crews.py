"""Chooses the crew of a worker by its settings."""

from __future__ import annotations

import os
from pathlib import Path

from crawler.clock import Clock
from crawler.errors import ConfigError, shown
from crawler.logs import get_logger
from crawler.node.crew.crew import Crew
from crawler.node.crew.program import Programs
from crawler.node.crew.users import check_user
from crawler.node.guard.guard import Guard
from crawler.node.run.run_logs import RunLogs
from crawler.node.run.sharing import Sharing
from crawler.node.run.states import TaskStates
from crawler.settings.sections import Settings
from crawler.settings.worker import IN_PROCESS

log = get_logger(__name__)


def crew_of(
    settings: Settings,
    clock: Clock,
    sharing: Sharing,
    states: TaskStates,
    guard: Guard,
    programs: Programs | None = None,
    logs: RunLogs | None = None,
) -> Crew:
    """Make the crew of a worker. The guard ends its processes when the worker cannot. `programs`
    has the bundles of projects, and `logs` are those of its runs.

    Raises ConfigError for spiders that cannot be loaded here.
    """
    if settings.worker.processes != IN_PROCESS and _can_watch_processes():
        from crawler.node.crew.processes import Processes

        check_user(settings.worker.run_as)
        return Processes(settings, clock, guard, programs, logs)
    if settings.worker.run_as:
        raise ConfigError(
            f"worker.run_as: {shown(settings.worker.run_as)} given, but this worker crawls in its"
            " own process; set worker.processes to 0 on Linux, or leave the setting empty"
        )
    # A worker whose crawls are in other processes needs none of this.
    from crawler.engine.items.sinks.factory import Sinks
    from crawler.node.crew.in_process import InProcess
    from crawler.node.run.engine_of import engine_of

    items = Path(settings.folder, settings.worker.items)
    engine = engine_of(settings, clock, sharing.hosts)
    return InProcess(engine, Sinks(settings.worker.databases), items, states)


def _can_watch_processes() -> bool:
    """Whether this system tells one process exactly of the end of another. It says so if not."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:  # another system, a kernel before 5.3, a sandbox
        log.warning(
            "this worker crawls in its own process; worker.processes: -1 says that this is meant",
            why=f"no pidfd: {error}",
        )
        return False
    return True
