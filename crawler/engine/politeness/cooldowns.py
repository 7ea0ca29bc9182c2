"""Cooldowns: hosts that are left alone for a while, as they throttle, or cannot be reached.

What one crawl learns of a host holds for all crawls of a worker. Only hosts that gave cause are
known here, and forgotten when they behave again, or have not been heard of for long.

- A host that answers 429 or 503 gets a cooldown: as long as its Retry-After asks, else
  `throttle_s`, twice that after the next incident, and so on; half an hour without one and it
  starts over. What was on its way when a cooldown began belongs to the same incident.
- A host that cannot be reached several times in a row gets one too, twice as long each time.
- After a cooldown one request at a time is sent, until there is a good answer.

A host that is slow to answer is known here as well.
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
"""A cooldown is up to so much longer by chance, so that not all hosts come back at once."""
KEPT_S = 3600.0
"""A host is remembered that long after its cooldown, unless its incidents are to be for longer."""


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
        """The last cooldown for a status without Retry-After."""
        self.forgotten_s = -math.inf
        """From then on a further incident is the first."""
        self.failures = 0
        """Connections that failed in a row."""
        self.down = False
        """Whether that is because it cannot be reached."""
        self.probed = False
        """Whether only one request at a time may be sent, to see if it behaves again."""
        self.lags = False
        """Whether its last request waited long for an answer, or never got one."""

    def hopeless(self, now_s: float, settings: CrawlSettings) -> str:
        """Why a crawl does not wait for the end of this cooldown; empty when it does."""
        if self.until_s <= now_s:
            return ""
        if self.down:
            return DOWN if self.until_s - self.began_s > settings.dead_wait_s else ""
        return TOO_LONG if self.until_s - now_s > settings.max_wait_s else ""

    def begin(self, now_s: float, seconds: float, down: bool) -> None:
        """Leave the host alone from now on, a day at the most."""
        self.began_s = now_s
        self.until_s = max(self.until_s, now_s + min(seconds, DAY_S))
        self.down = down
        self.probed = True


class Cooldowns:
    """The hosts that gave cause. `sent_s` is the moment at which the request in question went."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._cooldowns: dict[str, Cooldown] = {}
        self._purge_at = 1024

    def __len__(self) -> int:
        return len(self._cooldowns)

    def get(self, host: str) -> Cooldown | None:
        """What is known of a host; None for one without fault."""
        return self._cooldowns.get(host)

    def under_way(self) -> Mapping[str, float]:
        """The hosts that are left alone now, with the seconds until their ends."""
        now_s = self._clock.monotonic()
        ends = ((host, cooldown.until_s - now_s) for host, cooldown in self._cooldowns.items())
        return {host: left_s for host, left_s in ends if left_s > 0}

    def throttled(self, host: str, sent_s: float, asked_s: float, settings: CrawlSettings) -> None:
        """It answered 429 or 503; `asked_s` is its Retry-After, 0 without one."""
        cooldown, now_s = self._of(host), self._clock.monotonic()
        if sent_s <= cooldown.began_s:
            cooldown.until_s = max(cooldown.until_s, now_s + min(asked_s, DAY_S))
            return
        if now_s >= cooldown.forgotten_s:
            cooldown.pause_s = 0.0
        cooldown.pause_s = min(
            max(settings.throttle_s, 2 * cooldown.pause_s), settings.throttle_most_s
        )
        cooldown.begin(now_s, asked_s or self._longer(cooldown.pause_s), down=False)
        cooldown.forgotten_s = cooldown.until_s + settings.throttle_forgiven_s

    def unreachable(self, host: str, sent_s: float, settings: CrawlSettings) -> None:
        """No connection came about."""
        cooldown = self._of(host)
        cooldown.lags = True
        if sent_s <= cooldown.began_s:
            return
        cooldown.failures += 1
        beyond = cooldown.failures - settings.dead_after
        if beyond >= 0:
            pause_s = self._longer(settings.dead_rest_s * 2.0 ** min(beyond, 30))
            cooldown.begin(self._clock.monotonic(), pause_s, down=True)

    def lags(self, host: str) -> None:
        """It does not answer for long."""
        self._of(host).lags = True

    def answered(self, host: str, promptly: bool) -> None:
        """It took a connection and was not throttled."""
        if promptly and host not in self._cooldowns:
            return
        cooldown = self._of(host)
        cooldown.failures = 0
        cooldown.lags = not promptly
        cooldown.probed = False
        if cooldown.down:
            cooldown.down, cooldown.until_s = False, -math.inf
        if promptly and self._clock.monotonic() >= max(cooldown.until_s, cooldown.forgotten_s):
            del self._cooldowns[host]

    def _longer(self, seconds: float) -> float:
        return seconds * (1 + JITTER * self._chance())

    def _of(self, host: str) -> Cooldown:
        if len(self._cooldowns) >= self._purge_at:
            self._purge()
        return self._cooldowns.setdefault(host, Cooldown())

    def _purge(self) -> None:
        old_s = self._clock.monotonic() - KEPT_S
        for host, cooldown in list(self._cooldowns.items()):
            if max(cooldown.until_s, cooldown.forgotten_s - KEPT_S) < old_s:
                del self._cooldowns[host]
        self._purge_at = max(1024, 2 * len(self._cooldowns))
