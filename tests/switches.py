"""Cuts a greenlet off where it lets others run: a kill may come there, and nowhere else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import greenlet
import pytest
from gevent import Greenlet

from tests.depth import deep
from tests.waiting import PATIENCE_S


@dataclass(frozen=True)
class Cut:
    """A way to cut a greenlet off."""

    late: bool = False
    """As late as can be: what it waits for has come, and it hears of the kill instead. Otherwise
    it is killed as soon as it waits."""
    again: bool = False
    """At each later switch too, as whoever stops a run may do it twice."""

    def __str__(self) -> str:
        return f"{'late' if self.late else 'early'}{' and again' if self.again else ''}"


CUTS = [
    pytest.param(
        Cut(late, again), marks=[deep] if late is not again else [], id=str(Cut(late, again))
    )
    for late in (False, True)
    for again in (False, True)
]
"""As parameters of a test; `make test` takes the mildest and the hardest."""


def cut_at_each_switch(spawn: Callable[[], Greenlet], cut: Cut) -> Iterator[int]:
    """Spawn greenlets, and cut off the first before it begins, the next at its first switch, the
    next at its second …; yields each number when that one has ended, until one ends before it is
    cut off."""
    for number in itertools.count():
        running = spawn()
        if number == 0:
            running.kill(block=False)
        seam = _Seam(running, number, cut)
        with seam:
            running.join(PATIENCE_S)
        assert running.dead, f"cut off {cut} at switch {number}, it goes on"
        if number > seam.count:
            return
        yield number


class _Seam:
    """Counts the switches of a greenlet, and cuts it off at one of them."""

    def __init__(self, running: Greenlet, number: int, cut: Cut) -> None:
        self.count = 0
        self._running = running
        self._number = number
        self._cut = cut
        self._before: Any = None

    def __enter__(self) -> None:
        self._before = greenlet.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        greenlet.settrace(self._before)

    def _trace(self, event: str, pair: tuple[Any, Any]) -> None:
        begins, ends = pair[1] is self._running, pair[0] is self._running
        if ends and not self._running.dead:
            self.count += 1
            if self._is_due and not self._cut.late:
                self._running.kill(block=False)
        elif begins and event == "switch" and self.count and self._is_due and self._cut.late:
            if not self._cut.again:
                self._number = -1
            # greenlet forgets a trace function that raises
            gevent.get_hub().loop.run_callback(greenlet.settrace, self._trace)
            raise gevent.GreenletExit

    @property
    def _is_due(self) -> bool:
        return self.count == self._number or (self._cut.again and self.count > self._number > 0)
