"""Follows the logs of tasks for those who watch them, and never holds anybody up.

All who may see the same log share one tail of it, which keeps its last lines alone. A line is
written as HTML when somebody is there to get it, and of a flood only its last lines are. A reader
who is slow gets what the tail still has, and is told how many lines it does not see; the whole log
is at another path.
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gevent.event import Event

from crawler.clock import Clock
from crawler.errors import CrawlerError
from crawler.model.logs import LogPart
from crawler.supervision import Supervisor

KEPT = 1000
"""How many lines a tail has, and a page."""
MOST_NEW = 250
"""How many lines are written at a time. Of more that came meanwhile, the last ones count."""
PACE_S = 0.5
"""The shortest time between two events for a reader."""
ALIVE_S = 15.0
MOST_S = 300.0
"""A stream ends after this time, and the browser goes on with another: it is then seen whether its
token still counts."""
IDLE_S = 5.0
"""So long a tail goes on that nobody watches."""
MOST_TAILS = 100
FULL = "the logs of too many tasks are watched on this node; try again later"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log, or a note about what is not there."""

    level: str = ""
    time: str = ""
    text: str = ""
    more: str = ""
    """The other fields of the line, as `key=value`."""
    where: str = ""
    """The worker that wrote it."""
    is_note: bool = False


_SHOWN_APART = ("level", "ts", "logger", "caller", "msg", "task")


def lines_of(part: LogPart) -> Iterator[Line]:
    """Yield the lines of a part, or the note that it is."""
    if part.note:
        yield Line(text=part.note, is_note=True)
    for text in part.data.splitlines():
        yield line_of(text, part.node)


def line_of(text: bytes, node: str = "") -> Line:
    """Return what a line tells. What is no JSON object is a message."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return Line(text=text.decode(errors="replace"), where=node)
    more = " ".join(
        f"{key}={_plain(value)}" for key, value in found.items() if key not in _SHOWN_APART
    )
    told = {key: str(found.get(key, "")) for key in ("level", "ts", "msg")}
    return Line(told["level"], told["ts"], told["msg"], more, node)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class _Tail:
    """The last lines of one log. Lines are counted from 1 on."""

    def __init__(self, write: Callable[[Line], str]) -> None:
        self.mark = secrets.token_hex(4)
        """Tells this tail from one before, whose lines had the same numbers."""
        self.changed = Event()
        self.watchers = 0
        self.has_ended = False
        """Whether nothing more comes: the run is over, or nobody has watched for a while."""
        self.is_over = False
        """Whether the run is over."""
        self.last = 0
        """The number of the last line that was written."""
        self._write = write
        self._kept: deque[tuple[int, str]] = deque(maxlen=KEPT)
        self._new: deque[tuple[bytes, LogPart]] = deque(maxlen=MOST_NEW)
        self._came = 0
        """How many lines came since lines were written."""

    def take(self, part: LogPart) -> None:
        """Note what came. It is written when somebody asks."""
        new = [(b"", part)] if part.note else [(text, part) for text in part.data.splitlines()]
        self._new.extend(new)
        self._came += len(new)
        if new:
            self.wake()

    def wake(self) -> None:
        changed, self.changed = self.changed, Event()
        changed.set()

    def end(self) -> None:
        """Let the readers go."""
        self.has_ended = True
        self.wake()

    def since(self, number: int) -> dict[str, Any]:
        """Return the lines behind that one, as many as there are, and how many are left out."""
        self._written()
        new = [(at, html) for at, html in self._kept if at > number]
        left_out = self.last - number - len(new)
        return {"lines": [html for _, html in new], "leftOut": left_out, "ended": self.is_over}

    def _written(self) -> None:
        if not self._came:
            return
        first = self.last + self._came - len(self._new) + 1
        for at, (text, part) in enumerate(self._new, first):
            line = next(lines_of(part)) if part.note else line_of(text, part.node)
            self._kept.append((at, self._write(line)))
        self.last += self._came
        self._came = 0
        self._new.clear()


class Tails:
    """The tails of one node."""

    def __init__(self, clock: Clock, write: Callable[[Line], str]) -> None:
        """`write` returns a line as HTML."""
        self._clock = clock
        self._write = write
        self._tails: dict[Hashable, _Tail] = {}
        self._supervisor = Supervisor("logs of the dashboard")

    def __len__(self) -> int:
        """Return how many logs are watched."""
        return len(self._tails)

    def watch(
        self, key: Hashable, begin: Callable[[], Iterator[LogPart]], seen: str = ""
    ) -> Iterator[bytes]:
        """Yield what comes, as server-sent events. `begin` returns the parts of the log from some
        lines before its end on; `seen` is the id of the last event that the reader has. Raises
        CrawlerError before the first event."""
        tail = self._tails.get(key) or self._begun(key, begin)
        return self._events(tail, seen)

    def stop(self) -> None:
        """End all tails."""
        self._supervisor.stop()
        for tail in self._tails.values():  # one that had not begun to follow
            tail.end()
        self._tails.clear()

    def _begun(self, key: Hashable, begin: Callable[[], Iterator[LogPart]]) -> _Tail:
        if len(self._tails) >= MOST_TAILS:
            raise CrawlerError(FULL)
        parts = begin()  # it may raise: a log that never began must not take the place of a tail
        if (meanwhile := self._tails.get(key)) is not None:
            close_parts(parts)
            return meanwhile
        tail = self._tails[key] = _Tail(self._write)
        self._supervisor.spawn("the tail of a log", self._follow, key, tail, parts)
        return tail

    def _events(self, tail: _Tail, seen: str) -> Iterator[bytes]:
        mark, _, number = seen.partition(".")
        goes_on = mark == tail.mark and number.isdecimal()
        at, is_first, began_s = int(number) if goes_on else 0, not goes_on, self._clock.monotonic()
        tail.watchers += 1
        try:
            yield b"retry: 2000\n\n"
            while self._clock.monotonic() - began_s < MOST_S:
                changed = tail.changed
                told = tail.since(at)
                if told["lines"] or is_first or tail.has_ended:
                    at = tail.last
                    yield _event(f"{tail.mark}.{at}", {**told, "anew": is_first})
                    is_first = False
                    if tail.has_ended:
                        return
                    self._clock.sleep(PACE_S)
                elif not changed.wait(ALIVE_S):
                    yield b":\n\n"
        finally:
            tail.watchers -= 1

    def _follow(self, key: Hashable, tail: _Tail, parts: Iterator[LogPart]) -> None:
        alone_s = self._clock.monotonic()
        try:
            for part in parts:
                tail.take(part)
                now_s = self._clock.monotonic()
                alone_s = now_s if tail.watchers else alone_s
                if now_s - alone_s > IDLE_S:
                    return
            tail.is_over = True
        except CrawlerError as error:
            tail.take(LogPart(note=str(error)))
        finally:
            self._tails.pop(key, None)
            tail.end()
            close_parts(parts)


def close_parts(parts: Iterator[LogPart]) -> None:
    """End a log that is read no further, and the calls for it."""
    close = getattr(parts, "close", None)
    if close is not None:
        close()


def last_lines(parts: Iterator[LogPart], most: int) -> tuple[Sequence[Line], int]:
    """Return the last lines of a log, and how many were before them."""
    kept: deque[Line] = deque(maxlen=most)
    count = 0
    for part in parts:
        for line in lines_of(part):
            kept.append(line)
            count += 1
    return list(kept), count - len(kept)


def _event(id: str, told: dict[str, Any]) -> bytes:
    return f"id: {id}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n".encode()
