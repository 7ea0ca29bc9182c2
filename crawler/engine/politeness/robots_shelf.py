"""The robots.txt files that workers share, so that each is fetched once for all of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from crawler.clock import Clock
from crawler.engine.frontier.redis_access import NotYet
from crawler.engine.frontier.store import StoreFailed

CLAIM_S = 15.0
"""The seconds for which others wait for a worker that fetches a file. Then the next one tries."""
LOOK_S = 0.2
_HEAD = struct.Struct("<H")


class Robotstxt(NamedTuple):
    """What a site has answered in the end, after redirects."""

    status: int
    body: bytes
    kept_s: float
    """For how long it counts."""


class RobotsShelf(Protocol):
    """What all workers share. No call raises: without the shelf each fetches for itself."""

    def get(self, site: str) -> Robotstxt | None:
        """The file of a site, if one is there."""
        ...

    def claim(self, site: str) -> bool:
        """Whether this worker shall fetch the file of a site. The others wait for it."""
        ...

    def put(self, site: str, file: Robotstxt) -> None:
        """Keep the file of a site."""
        ...

    def give_up(self, site: str) -> None:
        """Let others fetch the file of a site that this worker could not get."""
        ...


def shared(
    shelf: RobotsShelf, site: str, fetch: Callable[[], Robotstxt | None], clock: Clock
) -> Robotstxt | None:
    """The file of a site: from the shelf, or fetched by the first worker that needs it.

    `fetch` returns None for an answer that holds for nobody else, such as an error.
    """
    until_s = clock.monotonic() + CLAIM_S
    while True:
        file = shelf.get(site)
        if file is not None:
            return file
        is_claimed = shelf.claim(site)
        if is_claimed or clock.monotonic() >= until_s:
            break
        clock.sleep(LOOK_S)
    file = None
    try:
        file = fetch()
    finally:
        if file is not None:
            shelf.put(site, file)
        elif is_claimed:  # not the claim of another worker
            shelf.give_up(site)
    return file


class Server(Protocol):
    """What carries out commands of Redis."""

    def ask(self, *command: Any, is_patient: bool = True) -> Any:
        """Send a command. Raises StoreFailed, and NotYet without patience."""
        ...


class RedisRobotsShelf:
    """A shelf in Redis."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def get(self, site: str) -> Robotstxt | None:
        """The file of a site, if one is there."""
        found = self._ask("GET", _file(site))
        left_ms = self._ask("PTTL", _file(site)) if found else None
        if not found or not left_ms or left_ms < 0:
            return None
        [status] = _HEAD.unpack_from(found)
        return Robotstxt(status, zlib.decompress(found[_HEAD.size :]), left_ms / 1000)

    def claim(self, site: str) -> bool:
        """Whether this worker shall fetch the file of a site; also if Redis does not answer."""
        key, lasts_ms = _claim(site), int(CLAIM_S * 1000)
        try:
            answer = self._server.ask("SET", key, 1, "NX", "PX", lasts_ms, is_patient=False)
        except (NotYet, StoreFailed):
            return True
        return answer is not None

    def put(self, site: str, file: Robotstxt) -> None:
        """Keep the file of a site."""
        record = _HEAD.pack(file.status) + zlib.compress(file.body)
        self._ask("SET", _file(site), record, "PX", max(1, int(file.kept_s * 1000)))

    def give_up(self, site: str) -> None:
        """Let others fetch the file of a site."""
        self._ask("DEL", _claim(site))

    def _ask(self, *command: Any) -> Any:
        try:
            return self._server.ask(*command, is_patient=False)
        except (NotYet, StoreFailed):
            return None


def _file(site: str) -> str:
    return f"crawler:robots:{site}"


def _claim(site: str) -> str:
    return f"crawler:robots-claim:{site}"
