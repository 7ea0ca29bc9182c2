"""Shows the progress of tasks: bars that are redrawn in place on a terminal, plain lines elsewhere.

The caller calls `update` with all tasks, as often as it likes, and `finish` once. While bars are
shown, nobody else may write to the terminal.
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
"""The least seconds between two summaries of plain output."""
_TICK_S = 0.12
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Progress(Protocol):
    """Shows tasks while they run."""

    def update(self, resources: Sequence[Resource]) -> None:
        """Show the present state of the tasks."""
        ...

    def leave(self) -> None:
        """Leave what is shown, because another line follows it. A signal handler may call this."""
        ...

    def finish(self, resources: Sequence[Resource], elapsed_s: float | None = None) -> None:
        """Show how the tasks ended, as a table. The total of its seconds is `elapsed_s`."""
        ...


def progress_to(
    stream: TextIO, *, live: bool | None = None, colour: bool = True, clock: Clock | None = None
) -> Progress:
    """Make the progress display for a stream. `live` forces bars, or no bars."""
    clock = clock or SystemClock()
    unicode = _writes_unicode(stream)
    if stream.isatty() if live is None else live:
        return LiveProgress(stream, render.Look(unicode, colour), clock)
    return PlainProgress(stream, clock)


class LiveProgress:
    """Shows a bar for each task, redrawn in place."""

    def __init__(self, stream: TextIO, look: render.Look, clock: Clock) -> None:
        self._stream = stream
        self._look = look
        self._clock = clock
        self._drawn = 0

    def update(self, resources: Sequence[Resource]) -> None:
        """Draw the bars over the earlier ones."""
        width, height = _size(self._stream)
        tick = int(self._clock.monotonic() / _TICK_S)
        lines = self._lines(resources, width - 1, height - 1, tick)
        self._draw(lines)

    def leave(self) -> None:
        """Draw the next bars below, and not over these."""
        self._drawn = 0

    def finish(self, resources: Sequence[Resource], elapsed_s: float | None = None) -> None:
        """Replace the bars by the table of results."""
        self._draw([])
        _write(self._stream, f"{_results(resources, elapsed_s)}\n")

    def _lines(
        self, resources: Sequence[Resource], width: int, height: int, tick: int
    ) -> list[str]:
        # The cursor cannot move above the screen, so there are never more lines than rows.
        shown = list(resources) if len(resources) < height else _most_wanted(resources, height - 2)
        lines = render.bars(shown, width, tick, self._look)
        if len(shown) < len(resources):
            lines.append(
                render.fitted(f"and {len(resources) - len(shown)} more", width, self._look)
            )
        total = render.summary(resources)
        return [*lines, render.fitted(total, min(width, len(total)), self._look)]

    def _draw(self, lines: Sequence[str]) -> None:
        # One write draws the whole picture, and clears each line behind its end, not before its
        # start. So the terminal never shows an empty line in between, which would flicker. The
        # cursor is hidden only for that write, so it is visible however the program ends.
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        picture = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        _write(self._stream, f"{_HIDE_CURSOR}{up}\r{picture}{_CLEAR_BELOW}{_SHOW_CURSOR}")
        self._drawn = len(lines)


class PlainProgress:
    """Writes a line when a task's state or owner changes, and a summary from time to time."""

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

    def leave(self) -> None:
        """Do nothing: no line is drawn over."""

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
    """The `count` tasks to show: running ones first, those that are done last."""
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
    # Some terminals do not know their size, and report 0.
    return size.columns or 80, size.lines or 24


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()
