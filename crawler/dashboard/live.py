"""Keeps open pages true: who watches a page gets each part of it that has changed.

All who may see the same watch one channel, so the leader is asked once for all of them, and each
part is written once. A channel keeps no queue: it keeps the latest state of each part with a
version, and a reader gets what is newer than what it has. A slow reader skips what lies between,
and the server drops one that reads nothing for long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gevent.event import Event

from crawler.clock import Clock
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.supervision import Supervisor

log = get_logger(__name__)

EVERY_S = 1.0
"""How often it is looked whether something has changed."""
ALIVE_S = 15.0
"""How often a stream without changes shows that it is alive."""
MOST_S = 300.0
"""A stream ends after this time, and the browser asks anew: it is then seen whether its token still
counts."""
MOST_CHANNELS = 1000
"""How many different pages may be watched at the same time on a node."""
IDLE_LOOKS = 5
"""A channel that nobody watches for so many looks ends."""
FULL = "too many different pages are watched on this node; reload the page now and then"
TROUBLE = "trouble"
"""The part that says why the rest is old."""


@dataclass(frozen=True)
class Shown:
    """What a page shows at one moment."""

    parts: Mapping[str, str]
    """The HTML of each part by the id of its element."""
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For each container that has parts one after the other: its id, and the ids of these in their
    order."""


Look = Callable[[], Shown]
"""Returns what a page shows now. Raises CrawlerError."""


class _Channel:
    def __init__(self, look: Look) -> None:
        self.look = look
        self.version = 0
        self.parts: dict[str, tuple[int, str]] = {}
        self.orders: dict[str, tuple[int, Sequence[str]]] = {}
        self.changed = Event()
        self.looked = Event()
        """Set when the present look, or the next one, is over."""
        self.begun = self.done = 0
        """The numbers of the last looks that began, and that were over."""
        self.watchers = 0
        self.has_ended = False

    def look_once(self, seen: Callable[[_Channel], Shown]) -> None:
        """Look, and tell those who wait for that."""
        self.begun += 1
        self.take(seen(self))
        self.done = self.begun
        looked, self.looked = self.looked, Event()
        looked.set()

    def take(self, shown: Shown) -> None:
        """Note what is new, and wake the readers if anything is."""
        version = self.version + 1
        parts = {
            id: self.parts[id]
            if id in self.parts and self.parts[id][1] == html
            else (version, html)
            for id, html in shown.parts.items()
        }
        orders = {
            id: self.orders[id]
            if id in self.orders and list(self.orders[id][1]) == list(order)
            else (version, order)
            for id, order in shown.orders.items()
        }
        if parts != self.parts or orders != self.orders:
            self.parts, self.orders, self.version = parts, orders, version
            self.wake()

    def wake(self) -> None:
        changed, self.changed = self.changed, Event()
        changed.set()

    def end(self) -> None:
        """Let the readers go."""
        self.has_ended = True
        self.looked.set()
        self.wake()

    def since(self, version: int) -> bytes:
        """Return what is newer than a version, as an event; empty if nothing is."""
        parts = {id: html for id, (at, html) in self.parts.items() if at > version}
        orders = {id: list(order) for id, (at, order) in self.orders.items() if at > version}
        if not parts and not orders:
            return b""
        told = json.dumps({"parts": parts, "orders": orders}, separators=(",", ":"))
        return f"data: {told}\n\n".encode()


class Streams:
    """The channels of one node."""

    def __init__(self, clock: Clock, trouble: Callable[[str], str]) -> None:
        """`trouble` writes the part that says why the rest is old; without a text it is empty."""
        self._clock = clock
        self._trouble = trouble
        self._channels: dict[Hashable, _Channel] = {}
        self._supervisor = Supervisor("dashboard")

    def __len__(self) -> int:
        """Return how many pages are watched."""
        return len(self._channels)

    def watch(self, key: Hashable, look: Look) -> Iterator[bytes]:
        """Yield what changes on a page, as server-sent events, from its present state on. Who has
        the same key sees the same. Raises CrawlerError before the first one."""
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= MOST_CHANNELS:
                raise CrawlerError(FULL)
            channel = self._channels[key] = _Channel(look)
            self._supervisor.spawn("a watched page", self._look_forever, key, channel)
        return self._events(channel)

    def stop(self) -> None:
        """End all streams."""
        self._supervisor.stop()
        for channel in self._channels.values():  # one that had not begun to look
            channel.end()
        self._channels.clear()

    def _events(self, channel: _Channel) -> Iterator[bytes]:
        version, began_s = 0, self._clock.monotonic()
        channel.watchers += 1
        try:
            # The page was written a moment ago. What was seen before could be older than it.
            first = channel.begun + 1
            yield b"retry: 2000\n\n"
            while channel.done < first and not channel.has_ended:
                channel.looked.wait()
            while not channel.has_ended and self._clock.monotonic() - began_s < MOST_S:
                changed, now = channel.changed, channel.version
                if event := channel.since(version):
                    version = now
                    yield event
                elif not changed.wait(ALIVE_S):
                    yield b":\n\n"
        finally:
            channel.watchers -= 1

    def _look_forever(self, key: Hashable, channel: _Channel) -> None:
        idle = 0
        try:
            while idle < IDLE_LOOKS:
                channel.look_once(self._seen)
                self._clock.sleep(EVERY_S)
                idle = 0 if channel.watchers else idle + 1
        finally:
            self._channels.pop(key, None)
            channel.end()

    def _seen(self, channel: _Channel) -> Shown:
        """Return what the page shows now. While nobody can say, it stays as it was, with the
        reason."""
        try:
            shown = channel.look()
        except CrawlerError as error:
            former = {id: html for id, (_, html) in channel.parts.items()}
            orders = {id: order for id, (_, order) in channel.orders.items()}
            return Shown({**former, TROUBLE: self._trouble(str(error))}, orders)
        return Shown({**shown.parts, TROUBLE: self._trouble("")}, shown.orders)
