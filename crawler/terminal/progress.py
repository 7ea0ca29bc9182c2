"""Shows how tasks go: bars redrawn in place on a terminal, plain lines elsewhere.

Whoever has the tasks calls `update` with all of them, as often as it likes, and `finish` once.
While bars are shown nobody else may write to the terminal.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from typing import Protocol, TextIO

from crawler.clock import Clock, SystemClock
from crawler.model.records import Resource, State
from crawler.terminal import render

SUMMARY_S = 2.0
"""Plain output has at most one summary in so many seconds."""
_TICK_S = 0.12
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Progress(Protocol):
    """Shows tasks while they run."""

    def update(self, resources: Sequence[Resource]) -> None:
        """Show how the tasks stand now."""
        ...

    def finish(self, resources: Sequence[Resource], elapsed_s: float | None = None) -> None:
        """Show how they ended, as a table; the total of its seconds is `elapsed_s`."""
        ...


def progress_to(
    stream: TextIO, *, live: bool | None = None, colour: bool = True, clock: Clock | None = None
) -> Progress:
    """What shows progress on that stream; `live` asks for bars, or none, whatever it is."""
    clock = clock or SystemClock()
    unicode = _writes_unicode(stream)
    if stream.isatty() if live is None else live:
        return LiveProgress(stream, render.Look(unicode, colour), clock)
    return PlainProgress(stream, clock)


class LiveProgress:
    """A bar for each task, redrawn in place."""

    def __init__(self, stream: TextIO, look: render.Look, clock: Clock) -> None:
        self._stream = stream
        self._look = look
        self._clock = clock
        self._drawn = 0

    def update(self, resources: Sequence[Resource]) -> None:
        """Draw the bars over those drawn before."""
        width, height = _size(self._stream)
        tick = int(self._clock.monotonic() / _TICK_S)
        lines = self._lines(resources, width - 1, height - 1, tick)
        self._draw(lines)

    def finish(self, resources: Sequence[Resource], elapsed_s: float | None = None) -> None:
        """Replace the bars by the table of results."""
        self._draw([])
        _write(self._stream, f"{_results(resources, elapsed_s)}\n")

    def _lines(
        self, resources: Sequence[Resource], width: int, height: int, tick: int
    ) -> list[str]:
        # The cursor cannot be moved above the screen, so there are never more lines than rows.
        shown = list(resources) if len(resources) < height else _most_wanted(resources, height - 2)
        lines = render.bars(shown, width, tick, self._look)
        if len(shown) < len(resources):
            lines.append(
                render.fitted(f"and {len(resources) - len(shown)} more", width, self._look)
            )
        total = render.summary(resources)
        return [*lines, render.fitted(total, min(width, len(total)), self._look)]

    def _draw(self, lines: Sequence[str]) -> None:
        # One write of the whole picture, each line cleared behind its end and not before its
        # start: the terminal never shows an empty line in between, which is what flickers. The
        # cursor is hidden for that write alone, so that no end of the program leaves it hidden.
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        picture = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        _write(self._stream, f"{_HIDE_CURSOR}{up}\r{picture}{_CLEAR_BELOW}{_SHOW_CURSOR}")
        self._drawn = len(lines)


class PlainProgress:
    """A line whenever a task's state or owner changes, and a summary now and then."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._shown: dict[str, tuple[State, str, int]] = {}
        self._summary = ""
        self._summary_due_s = clock.monotonic() + SUMMARY_S

    def update(self, resources: Sequence[Resource]) -> None:
        """Write what has changed since the last call."""
        lines = [render.change(resource) for resource in resources if self._changed(resource)]
        summary, now_s = render.summary(resources), self._clock.monotonic()
        if now_s >= self._summary_due_s and summary != self._summary:
            self._summary, self._summary_due_s = summary, now_s + SUMMARY_S
            lines.append(summary)
        if lines:
            _write(self._stream, "\n".join(lines) + "\n")

    def finish(self, resources: Sequence[Resource], elapsed_s: float | None = None) -> None:
        """Write the last changes and the table of results."""
        self._summary_due_s = self._clock.monotonic() + SUMMARY_S
        self.update(resources)
        _write(self._stream, f"{_results(resources, elapsed_s)}\n")

    def _changed(self, resource: Resource) -> bool:
        now = (resource.state, render.worker(resource), resource.epoch)
        before = self._shown.get(resource.name)
        self._shown[resource.name] = now
        return now != before


def _results(resources: Sequence[Resource], elapsed_s: float | None) -> str:
    failed = [
        f"{resource.name} failed: {resource.reason}"
        for resource in resources
        if resource.state is State.FAILED
    ]
    return "\n".join([render.table(resources, elapsed_s), *failed])


def _most_wanted(resources: Sequence[Resource], count: int) -> list[Resource]:
    """So many tasks, those that run before those that wait, and those that ended last."""
    order = (State.RUNNING, State.ASSIGNED, State.FAILED, State.PENDING, State.DONE)
    by_state = sorted(resources, key=lambda resource: order.index(resource.state))
    return by_state[: max(count, 1)]


def _writes_unicode(stream: TextIO) -> bool:
    try:
        return codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    except LookupError:
        return False


def _size(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    # Some terminals do not know, and say 0.
    return size.columns or 80, size.lines or 24


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
