"""Hosts that are left alone for a while: throttled, unreachable, or slow to answer.

What one crawl learns of a host holds for all crawls of a worker. Only hosts that gave cause are
known here, and forgotten when they behave again, or have not been heard of for long.

- A host that answers 429 or 503 rests: as long as its Retry-After asks, else `throttle_s`, twice
  that after the next incident, and so on; half an hour without one and it starts over. What was on
  its way when a rest began belongs to the same incident.
- A host that cannot be reached several times in a row rests too, twice as long each time.
- After a rest one request at a time is sent, until there is a good answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

from crawler.clock import Clock
from crawler.engine.http.messages import DOWN, TOO_LONG
from crawler.settings.crawl import CrawlSettings

DAY_S = 86_400.0
JITTER = 0.1
"""A rest is up to so much longer by chance, that hosts throttled together do not return so."""
KEPT_S = 3600.0
"""A host is remembered that long after its rest, unless its incidents are to be for longer."""


class Cooldown:
    """What is known of one host that gave cause."""

    __slots__ = (
        "began_s",
        "down",
        "failures",
        "forgotten_s",
        "lags",
        "pause_s",
        "probed",
        "until_s",
    )

    def __init__(self) -> None:
        self.until_s = -math.inf
        """Nothing is sent before this moment."""
        self.began_s = -math.inf
        self.pause_s = 0.0
        """The last rest for a status without Retry-After."""
        self.forgotten_s = -math.inf
        """From then on a further incident is the first."""
        self.failures = 0
        """Connections that failed in a row."""
        self.down = False
        """Whether it rests because it cannot be reached."""
        self.probed = False
        """Whether only one request at a time may be sent, to see if it behaves again."""
        self.lags = False
        """Whether its last request waited long for an answer, or never got one."""

    def hopeless(self, now_s: float, settings: CrawlSettings) -> str:
        """Why a crawl does not wait for the end of this rest; empty when it does."""
        if self.until_s <= now_s:
            return ""
        if self.down:
            return DOWN if self.until_s - self.began_s > settings.dead_wait_s else ""
        return TOO_LONG if self.until_s - now_s > settings.max_wait_s else ""

    def begin(self, now_s: float, rest_s: float, down: bool) -> None:
        """Cooldown from now on, at most a day."""
        self.began_s = now_s
        self.until_s = max(self.until_s, now_s + min(rest_s, DAY_S))
        self.down = down
        self.probed = True


class Cooldowns:
    """The hosts that gave cause. `sent_s` is the moment at which the request in question went."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._rests: dict[str, Cooldown] = {}
        self._purge_at = 1024

    def __len__(self) -> int:
        return len(self._rests)

    def get(self, host: str) -> Cooldown | None:
        """What is known of a host; None for one without fault."""
        return self._rests.get(host)

    def resting(self) -> Mapping[str, float]:
        """The hosts that rest now, with the seconds until their ends."""
        now_s = self._clock.monotonic()
        ends = ((host, rest.until_s - now_s) for host, rest in self._rests.items())
        return {host: left_s for host, left_s in ends if left_s > 0}

    def throttled(self, host: str, sent_s: float, asked_s: float, settings: CrawlSettings) -> None:
        """It answered 429 or 503; `asked_s` is its Retry-After, 0 without one."""
        rest, now_s = self._of(host), self._clock.monotonic()
        if sent_s <= rest.began_s:
            rest.until_s = max(rest.until_s, now_s + min(asked_s, DAY_S))
            return
        if now_s >= rest.forgotten_s:
            rest.pause_s = 0.0
        rest.pause_s = min(max(settings.throttle_s, 2 * rest.pause_s), settings.throttle_most_s)
        rest.begin(now_s, asked_s or self._longer(rest.pause_s), down=False)
        rest.forgotten_s = rest.until_s + settings.throttle_forgiven_s

    def unreachable(self, host: str, sent_s: float, settings: CrawlSettings) -> None:
        """No connection came about."""
        rest = self._of(host)
        rest.lags = True
        if sent_s <= rest.began_s:
            return
        rest.failures += 1
        beyond = rest.failures - settings.dead_after
        if beyond >= 0:
            pause_s = self._longer(settings.dead_rest_s * 2.0 ** min(beyond, 30))
            rest.begin(self._clock.monotonic(), pause_s, down=True)

    def lags(self, host: str) -> None:
        """It does not answer for long."""
        self._of(host).lags = True

    def answered(self, host: str, promptly: bool) -> None:
        """It took a connection and was not throttled."""
        if promptly and host not in self._rests:
            return
        rest = self._of(host)
        rest.failures = 0
        rest.lags = not promptly
        rest.probed = False
        if rest.down:
            rest.down, rest.until_s = False, -math.inf
        if promptly and self._clock.monotonic() >= max(rest.until_s, rest.forgotten_s):
            del self._rests[host]

    def _longer(self, rest_s: float) -> float:
        return rest_s * (1 + JITTER * self._chance())

    def _of(self, host: str) -> Cooldown:
        if len(self._rests) >= self._purge_at:
            self._purge()
        return self._rests.setdefault(host, Cooldown())

    def _purge(self) -> None:
        old_s = self._clock.monotonic() - KEPT_S
        for host, rest in list(self._rests.items()):
            if max(rest.until_s, rest.forgotten_s - KEPT_S) < old_s:
                del self._rests[host]
        self._purge_at = max(1024, 2 * len(self._rests))
