"""What workers share through Redis: the states of tasks, and who sends to which host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crawler.clock import Clock
from crawler.engine.politeness.sharing import SharedHosts
from crawler.node.run.states import TaskStates
from crawler.settings.sections import Settings


@dataclass(frozen=True, slots=True)
class Sharing:
    """Each part is None if the settings name no Redis."""

    states: TaskStates | None = None
    hosts: SharedHosts | None = None

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Sharing:
        """What the settings ask for. Raises ConfigError if the Redis could lose the states."""
        given = settings.frontier
        if not given.url:
            return cls()
        # Most workers have no Redis.
        from crawler.node.run.shared_redis import SharedRedis
        from crawler.node.run.shared_states import SharedStates

        redis = SharedRedis(given, settings.folder, clock)
        redis.states.check()  # what is plainly wrong is told before anything is started
        items = Path(settings.folder, settings.worker.items)
        return cls(SharedStates(redis.states, clock, items), redis.hosts)
