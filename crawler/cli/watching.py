"""What `crawler tasks --watch` shows: tasks as they are, again and again, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Protocol

import click

from crawler.api.backend import Call
from crawler.api.http import bodies
from crawler.cli.as_json import show_json
from crawler.errors import Retryable
from crawler.model.records import Resource
from crawler.plural import counted
from crawler.terminal import tables
from crawler.terminal.screen import Screen

LOOK_S = 0.5
"""The shortest pause between two looks, in seconds."""

SHARE = 4
"""A look that takes long is followed by a pause so many times as long: a list of many tasks costs
the master something."""

CALL = Call(4.0)
"""How long one look may take. The next one comes soon, so it need not be long."""

HEADERS = ("TASK", "STATE", "WORKER", "RUN", "PRIORITY", "PAGES", "ITEMS", "REASON")

Row = Callable[[Resource], Sequence[object]]
Look = Callable[[], Iterable[Resource]]


class View(Protocol):
    """Where looks are shown."""

    def show(self, found: Sequence[Resource], asked: str) -> None:
        """Show the tasks, as the master at that address has them."""

    def lost(self, error: Retryable) -> None:
        """Say that no master answers at present."""


def watch(look: Look, asked: Callable[[], str], view: View) -> None:
    """Show the tasks until Ctrl-C, which ends the process with status 0. While no master answers,
    it goes on asking. Raises CrawlerError if the first look fails, or a later one is refused."""
    signal.signal(signal.SIGINT, leave)
    pause_s = _looked(look, asked, view)
    while True:
        time.sleep(pause_s)
        try:
            pause_s = _looked(look, asked, view)
        except Retryable as error:
            view.lost(error)
            pause_s = LOOK_S


def _looked(look: Look, asked: Callable[[], str], view: View) -> float:
    """Look once, and show what is there. Returns how long to pause."""
    began_s = time.monotonic()
    found = list(look())
    took_s = time.monotonic() - began_s
    view.show(found, asked())
    return max(LOOK_S, SHARE * took_s)


class Table:
    """A table that is drawn in place, for a terminal."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._screen = Screen(sys.stdout)
        self._table: list[str] = []
        self._lost_at = ""

    def show(self, found: Sequence[Resource], asked: str) -> None:
        """Draw the tasks."""
        self._lost_at = ""
        self._table = list(tables.lines(HEADERS, map(self._row, found)))
        self._draw(f"{counted(len(found), 'task')} at {asked}, {_now()}")

    def lost(self, error: Retryable) -> None:
        """Leave what was seen last, and say so above it."""
        self._lost_at = self._lost_at or _now()
        self._draw(f"no master answers since {self._lost_at}; as it was before:")

    def _draw(self, title: str) -> None:
        self._screen.show([f"{title} (Ctrl-C ends this)", "", *self._table])


class Changes:
    """A line for each task that changed, for a file or a program. Counts alone are no change."""

    def __init__(self, tell: Callable[[Resource], None], tell_gone: Callable[[str], None]) -> None:
        self._tell = tell
        self._tell_gone = tell_gone
        self._known: Mapping[str, object] = {}
        self._is_lost = False

    def show(self, found: Sequence[Resource], asked: str) -> None:
        """Write what has changed since the last look; at the first, all tasks."""
        if self._is_lost:
            click.echo(f"crawler: {asked} answers again", err=True)
        self._is_lost = False
        now = {each.name: _standing(each) for each in found}
        for each in found:
            if self._known.get(each.name) != now[each.name]:
                self._tell(each)
        for name in self._known.keys() - now.keys():
            self._tell_gone(name)
        self._known = now
        sys.stdout.flush()

    def lost(self, error: Retryable) -> None:
        """Say once that no master answers."""
        if not self._is_lost:
            click.echo(f"crawler: {error}; it is asked again until it answers", err=True)
        self._is_lost = True


def lines(row: Row) -> Changes:
    """Return a view that writes changes as text."""

    def tell(found: Resource) -> None:
        named = (HEADERS[at].lower() for at in range(1, len(HEADERS)))
        cells = zip(named, map(tables.text, row(found)[1:]))
        told = "  ".join(f"{name}={cell}" for name, cell in cells if cell)
        click.echo(f"{_now()}  {found.name}  {told}")

    return Changes(tell, lambda name: click.echo(f"{_now()}  {name}  deleted"))


def json_lines() -> Changes:
    """Return a view that writes changes as JSON."""
    return Changes(
        lambda found: show_json(bodies.resource(found)),
        lambda name: show_json({"name": name, "deleted": True}),
    )


def _standing(found: Resource) -> object:
    """Return what of a task is told when it changes."""
    return (
        *(found.id, found.state, found.owner, found.epoch, found.generation),
        *(found.told_reason, found.spec, found.running),
    )


def _now() -> str:
    return time.strftime("%H:%M:%S")


def leave(number: int, frame: FrameType | None) -> None:
    """End the process at once, and well: nothing was started, and gRPC swallows what a handler
    raises."""
    with contextlib.suppress(RuntimeError, OSError):  # the signal came while it was being written
        sys.stdout.flush()
    os._exit(0)
