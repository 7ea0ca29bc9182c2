"""Who of the crawl processes of one worker sends to which host.

They have the register of hosts and the shelf of robots.txt files in their worker, as workers that
share a Redis have them there. A process asks in batches, not for each request.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from crawler.clock import Clock
from crawler.engine.politeness.host_register import (
    Answer,
    MemoryHostRegister,
    RegisterAway,
    Return,
    Told,
    Want,
)
from crawler.engine.politeness.robots_shelf import CLAIM_S, Robotstxt

MOST_FILES_BYTES = 64_000_000
"""The robots.txt files that a worker keeps; beyond that the oldest go."""
FILE_BYTES = 500
"""What a file takes beside its text."""


class Ask(Protocol):
    """Asks the worker something, and waits for its answer. Raises RegisterAway."""

    def __call__(self, what: str, *values: Any) -> Any:
        """What the worker answers."""
        ...


class DistantRegister:
    """The register, as a crawl process sees it."""

    def __init__(self, ask: Ask, lease_s: float) -> None:
        self.lease_s = lease_s
        self._ask = ask

    def tell(self, token: str, told: Told) -> Answer:
        """Renew a token, and tell what has changed. Raises RegisterAway."""
        answer: Answer = self._ask(
            "tell", token, told.wants, told.leaves, told.holds, told.returns, told.is_last
        )
        return answer


class DistantShelf:
    """The shelf, as a crawl process sees it."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def get(self, site: str) -> Robotstxt | None:
        """The file of a site, if one is there."""
        file: Robotstxt | None = self._or("get", None, site)
        return file

    def claim(self, site: str) -> bool:
        """Whether this process shall fetch the file of a site."""
        return bool(self._or("claim", True, site))

    def put(self, site: str, file: Robotstxt) -> None:
        """Keep the file of a site."""
        body = base64.b64encode(file.body).decode()
        self._or("put", None, site, file.status, body, file.kept_s)

    def give_up(self, site: str) -> None:
        """Let others fetch the file of a site."""
        self._or("give_up", None, site)

    def _or(self, what: str, otherwise: Any, *values: Any) -> Any:
        try:
            return self._ask(what, *values)
        except RegisterAway:
            return otherwise


class MemoryShelf:
    """The robots.txt files that the processes of one worker share."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, tuple[Robotstxt, float]] = {}
        """The file of each site, and until when it counts; the oldest first."""
        self._claims: dict[str, float] = {}
        self._bytes = 0

    def get(self, site: str) -> Robotstxt | None:
        """The file of a site, if one is there."""
        file, until_s = self._files.get(site, (None, 0.0))
        left_s = until_s - self._clock.monotonic()
        if file is None or left_s <= 0:
            self._remove(site)
            return None
        return file._replace(kept_s=left_s)

    def claim(self, site: str) -> bool:
        """Whether the one who asks shall fetch the file of a site. The others wait for it."""
        now_s = self._clock.monotonic()
        if self._claims.get(site, 0.0) > now_s:
            return False
        self._claims = {each: until_s for each, until_s in self._claims.items() if until_s > now_s}
        self._claims[site] = now_s + CLAIM_S
        return True

    def put(self, site: str, file: Robotstxt) -> None:
        """Keep the file of a site."""
        self._remove(site)
        self._claims.pop(site, None)
        self._files[site] = (file, self._clock.monotonic() + file.kept_s)
        self._bytes += len(file.body) + FILE_BYTES
        while self._bytes > MOST_FILES_BYTES:
            self._remove(next(iter(self._files)))

    def give_up(self, site: str) -> None:
        """Let others fetch the file of a site."""
        self._claims.pop(site, None)

    def _remove(self, site: str) -> None:
        file, _ = self._files.pop(site, (None, 0.0))
        self._bytes -= 0 if file is None else len(file.body) + FILE_BYTES


class Hosts:
    """Answers what crawl processes ask about hosts."""

    def __init__(self, clock: Clock) -> None:
        self._register = MemoryHostRegister(clock)
        self._shelf = shelf = MemoryShelf(clock)
        self._tokens: dict[int, str] = {}
        """The token of each process. Once it uses another, it never uses that one again."""
        self._answers: Mapping[str, Callable[..., Any]] = {
            "get": lambda site: shelf.get(str(site)),
            "claim": lambda site: shelf.claim(str(site)),
            "put": self._put,
            "give_up": lambda site: shelf.give_up(str(site)),
        }

    @property
    def lease_s(self) -> float:
        """The seconds that a token lives after its last renewal."""
        return self._register.lease_s

    def answer(self, process: int, what: str, *values: Any) -> Any:
        """Answer a question of a process. Raises KeyError, TypeError and ValueError for one that
        is none: what one process says must harm no other."""
        return self._tell(process, *values) if what == "tell" else self._answers[what](*values)

    def gone(self, process: int) -> None:
        """A process sends nothing more. Its hosts are others' when their pauses are over."""
        self._register.end(self._tokens.pop(process, ""))

    def _tell(
        self, process: int, token: str, wants: Any, leaves: Any, holds: Any, returns: Any, last: Any
    ) -> Answer:
        told = Told(
            [_want(*each) for each in wants],
            [str(host) for host in leaves],
            [_want(*each) for each in holds],
            [_return(*each) for each in returns],
            bool(last),
        )
        before, self._tokens[process] = self._tokens.get(process), str(token)
        if before is not None and before != token:
            self._register.end(before)
        return self._register.tell(str(token), told)

    def _put(self, site: Any, status: Any, body: Any, kept_s: Any) -> None:
        file = Robotstxt(int(status), base64.b64decode(body), _seconds(kept_s))
        self._shelf.put(str(site), file)


def _want(host: Any, pause_s: Any) -> Want:
    return Want(str(host), _seconds(pause_s))


def _return(host: Any, wait_s: Any, state: Any, keep_s: Any) -> Return:
    return Return(str(host), _seconds(wait_s), str(state), _seconds(keep_s))


def _seconds(given: Any) -> float:
    seconds = float(given)
    if math.isnan(seconds):
        raise ValueError("seconds must be a number")
    return seconds


def numbers() -> Callable[[], int]:
    """Return what gives the numbers 1, 2, 3 …"""
    return itertools.count(1).__next__
