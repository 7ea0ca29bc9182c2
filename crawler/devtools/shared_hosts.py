"""Lets crawls of this process keep the pace of hosts together with the workers of a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crawler.clock import SystemClock
from crawler.engine.politeness.sharing import SharedHosts
from crawler.errors import ConfigError
from crawler.settings.worker import FrontierSettings


@contextmanager
def hosts_in(given: FrontierSettings, folder: str = ".") -> Iterator[SharedHosts | None]:
    """What this process shares with all others whose settings name the same Redis, until the end of
    the block; None if they name none. Relative paths start at the folder.

    Raises ConfigError if Redis does not answer, or could lose what it is told.
    """
    if not given.url:
        yield None
        return
    from crawler.node.run.shared_redis import SharedRedis  # most share nothing

    redis = SharedRedis(given, folder, SystemClock())
    try:
        if not redis.states.check():
            raise ConfigError(
                f"frontier.url: {redis.states.silence}; start it, or name none: then the pace of"
                " hosts is kept in this process alone"
            )
        yield redis.hosts
    finally:
        redis.states.close()
