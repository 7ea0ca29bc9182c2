"""Looks whether a Redis can be trusted with the state of crawls, before a worker begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.store import StoreFailed
from crawler.errors import ConfigError
from crawler.logs import get_logger

log = get_logger(__name__)

OLDEST = (7, 0)
"""The first version that has functions."""
LEAST_PACKED = 512
"""Redis packs sets of numbers up to this size, if it is told nothing else. So large are those of
the known URLs of a task on several workers."""
_PACKED = "set-max-intset-entries"


def check(server: RedisServer) -> bool:
    """Look at each server that takes writes. Log what is unwise. Returns whether all answered.

    `INFO` tells all that matters to what is kept, also where `CONFIG` is forbidden. Raises
    ConfigError if the state of a crawl could be lost.
    """
    try:
        server.load_functions(is_patient=False)
        told = server.for_each(_told, is_patient=False)
    except NotYet:  # `server.silence` says why
        return False
    except StoreFailed as error:
        raise ConfigError(f"frontier.url: {error}") from error
    for info in told:
        if faults := list(_faults(info)):
            raise ConfigError(f"frontier.url: {server.place}: {'; '.join(faults)}")
        for warning in _warnings(info):
            log.warning(
                "Redis keeps the crawls, but not as safely as it could",
                url=server.place,
                why=warning,
            )
    return True


def _told(client: Any) -> Mapping[str, Any]:
    try:
        packed = client.config_get(_PACKED)
    except Exception:  # it is forbidden; if nobody answers, the next call says so
        packed = {}
    return {**client.info(), **packed}


def _faults(info: Mapping[str, Any]) -> Iterator[str]:
    """Why the server would lose what it was told, and what to do."""
    version = str(info.get("redis_version", "0.0"))
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        yield f"it is Redis {version}; version 7.0 or later is needed, for its functions"
    if info.get("role") == "slave":
        yield "it is a replica, which takes no writes; name its primary, or use redis+sentinel://"
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield (
            f"its maxmemory-policy is {policy}, so it removes keys of crawls when it is full; set"
            " maxmemory-policy to noeviction"
        )
    if not info.get("aof_enabled") and not info.get("connected_slaves"):
        yield (
            "it keeps what it is told in its memory alone; set appendonly to yes, or give it a"
            " replica"
        )


def _warnings(info: Mapping[str, Any]) -> Iterator[str]:
    """What could be safer."""
    if not info.get("aof_enabled"):
        yield (
            "appendonly is no: if the server restarts before a replica has taken over, all is lost"
        )
    elif info.get("aof_last_write_status") == "err":
        yield "it cannot write its log; is its disk full?"
    packed = int(info.get(_PACKED, LEAST_PACKED))
    if packed < LEAST_PACKED:
        yield (
            f"{_PACKED} is {packed}, so each known URL of a task on several workers takes some 50"
            f" bytes and not 10; set it to {LEAST_PACKED}, as it is by default"
        )
