"""Cooldowns: times in which a worker leaves a host alone, because it throttles or is unreachable.

What one crawl learns about a host holds for all crawls of the worker. This module knows only hosts
with incidents. It forgets them when they behave again, or after a long time.

- A host that answers 429 or 503 gets a cooldown as long as its Retry-After asks for. Without
  Retry-After it is `throttle_s`, and twice as long after each further incident. It starts over
  after `throttle_forgiven_s` without an incident. Requests that were in flight when a cooldown
  began belong to the same incident.
- A host that is unreachable several times in a row gets a cooldown too, twice as long each time.
- After a cooldown the worker sends one request at a time, until there is a good answer.

This module also knows which hosts are slow to answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crawler.clock import Clock
from crawler.engine.frontier.store import Rest
from crawler.engine.http.messages import DOWN, TOO_LONG
from crawler.settings.crawl import CrawlSettings

DAY_S = 86_400.0
JITTER = 0.1
"""The largest share that chance adds to a cooldown, so that hosts do not come back at once."""
KEPT_S = 3600.0
"""The seconds that a host is remembered after its cooldown, unless incidents count longer."""


class Cooldown:
    """The state of one host with incidents."""

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
        """The monotonic time before which nothing is sent."""
        self.began_s = -math.inf
        self.pause_s = 0.0
        """The length of the last cooldown without Retry-After, in seconds."""
        self.forgotten_s = -math.inf
        """The monotonic time from which the next incident counts as the first."""
        self.failures = 0
        """The number of connections that failed in a row."""
        self.down = False
        """Whether the cooldown began because the host is unreachable."""
        self.probed = False
        """Whether only one request at a time may be sent, until there is a good answer."""
        self.lags = False
        """Whether the last request waited long for its answer, or got none."""

    def hopeless(self, now_s: float, settings: CrawlSettings) -> str:
        """The reason why a crawl does not wait for the end of this cooldown. Empty if it waits."""
        if self.until_s <= now_s:
            return ""
        if self.down:
            return DOWN if self.until_s - self.began_s > settings.dead_wait_s else ""
        return TOO_LONG if self.until_s - now_s > settings.max_wait_s else ""

    def begin(self, now_s: float, seconds: float, down: bool) -> None:
        """Begin a cooldown of so many seconds, a day at most."""
        self.began_s = now_s
        self.until_s = max(self.until_s, now_s + min(seconds, DAY_S))
        self.down = down
        self.probed = True


class Cooldowns:
    """The hosts with incidents. `sent_s` is the time at which the request was sent."""

    def __init__(self, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._chance = chance
        self._cooldowns: dict[str, Cooldown] = {}
        self._purge_at = 1024

    def __len__(self) -> int:
        return len(self._cooldowns)

    def get(self, host: str) -> Cooldown | None:
        """The state of a host; None for a host without incidents."""
        return self._cooldowns.get(host)

    def under_way(self) -> Mapping[str, float]:
        """The hosts that have a cooldown now, with the seconds that are left."""
        now_s = self._clock.monotonic()
        ends = ((host, cooldown.until_s - now_s) for host, cooldown in self._cooldowns.items())
        return {host: left_s for host, left_s in ends if left_s > 0}

    def kept(self) -> dict[str, Rest]:
        """The cooldowns under way, for a later process."""
        return {
            host: Rest(left_s, self._cooldowns[host].pause_s, self._cooldowns[host].down)
            for host, left_s in self.under_way().items()
        }

    def go_on(self, host: str, rest: Rest) -> None:
        """Go on with a cooldown of an earlier process. A longer one that is under way stays."""
        cooldown, now_s = self._of(host), self._clock.monotonic()
        cooldown.pause_s = max(cooldown.pause_s, rest.pause_s)
        if now_s + rest.left_s > cooldown.until_s:
            cooldown.begin(now_s, rest.left_s, rest.is_down)

    def told(self, host: str) -> list[Any] | None:
        """What another worker should know of a host, in JSON; None for one without incidents."""
        cooldown, now_s = self._cooldowns.get(host), self._clock.monotonic()
        if cooldown is None:
            return None
        ends = (cooldown.until_s, cooldown.forgotten_s)
        left = [max(0.0, end_s - now_s) for end_s in ends]
        return [*left, cooldown.pause_s, cooldown.failures, cooldown.down, cooldown.probed]

    def take_over(self, host: str, told: Sequence[Any], age_s: float) -> None:
        """Go on with what another worker told of a host so long ago."""
        left_s, forgotten_s, pause_s, failures, is_down, is_probed = told
        cooldown, told_s = self._of(host), self._clock.monotonic() - age_s
        if told_s + left_s > cooldown.until_s:
            cooldown.began_s = self._clock.monotonic()
            cooldown.until_s, cooldown.down = told_s + left_s, bool(is_down)
        cooldown.forgotten_s = max(cooldown.forgotten_s, told_s + forgotten_s)
        cooldown.pause_s, cooldown.failures = float(pause_s), int(failures)
        cooldown.probed = bool(is_probed)

    def throttled(self, host: str, sent_s: float, asked_s: float, settings: CrawlSettings) -> None:
        """Record a 429 or 503. `asked_s` is its Retry-After in seconds, 0 without one."""
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
        """Record that no connection could be made."""
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
        """Record that the host is slow to answer."""
        self._of(host).lags = True

    def answered(self, host: str, promptly: bool) -> None:
        """Record an answer that is neither 429 nor 503."""
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
