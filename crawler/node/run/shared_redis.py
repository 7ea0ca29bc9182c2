"""The Redis that workers share: the states of all crawls, and the register of hosts."""

from __future__ import annotations

import math
from uuid import uuid4

from crawler.clock import Clock
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import LIBRARIES, RedisServer
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.politeness import redis_host_functions, redis_host_register
from crawler.engine.politeness.robots_shelf import RedisRobotsShelf
from crawler.engine.politeness.sharing import SharedHosts
from crawler.settings.worker import FrontierSettings


class SharedRedis:
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
