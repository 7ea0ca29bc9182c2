"""What workers share through Redis: the states of tasks, and who sends to which host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from crawler.clock import Clock
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import LIBRARIES, RedisServer
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.politeness import redis_host_functions, redis_host_register
from crawler.engine.politeness.robots_shelf import RedisRobotsShelf
from crawler.engine.politeness.sharing import SharedHosts
from crawler.node.run.shared_states import SharedStates
from crawler.node.run.states import TaskStates
from crawler.settings.sections import Settings
from crawler.settings.worker import FrontierSettings


class Redis:
    """The Redis of `frontier.url`, and what lies there."""

    def __init__(self, given: FrontierSettings, folder: str, clock: Clock) -> None:
        """Relative paths start at the folder. Nothing connects before it is used. Raises
        ConfigError.

        It is waited for without a bound: tasks that fail because Redis is away would have to be
        started by hand.
        """
        access = Access.of(given, folder)
        libraries = (*LIBRARIES, redis_host_functions.CODE)
        server = RedisServer(access, math.inf, clock, libraries)
        slots = redis_host_register.SLOTS if access.url.kind == "+cluster" else 1
        register = redis_host_register.RedisHostRegister(server, slots=slots)
        self.states = RedisStates(server)
        """The states of all crawls."""
        self.hosts = SharedHosts(register, RedisRobotsShelf(server), uuid4().hex)
        """What this process shares of hosts with all others."""


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
        redis = Redis(given, settings.folder, clock)
        redis.states.check()  # what is plainly wrong is told before anything is started
        items = Path(settings.folder, settings.worker.items)
        return cls(SharedStates(redis.states, clock, items), redis.hosts)
