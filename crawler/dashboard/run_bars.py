"""The runs of a task as bars: where each was, since when, and how it moved. Pure functions.

A run has a bar with a piece for each assignment. All bars have the same scale, so that their
lengths can be compared; each begins where its run did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crawler.model.history import Event, RunState, Step
from crawler.model.records import Resource

NS = 1_000_000_000
WIDTH = 1000.0
"""The width of a bar that is as long as the longest run."""
LEAST = 4.0
"""The width of the shortest piece that can still be seen."""
MOST_LANES = 8
"""A run of a task on more workers than this shows so many of them."""
LANE = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A run on one worker, from its placement to its end."""

    epoch: int
    shard: int
    worker: str
    state: RunState
    placed_ns: int
    begun_ns: int
    ended_ns: int
    """0 while it goes on."""
    reason: str
    x: float = 0.0
    wide: float = 0.0
    waited: float = 0.0
    """How much of its width is the time from its placement to its begin."""

    @property
    def y(self) -> int:
        """Where its lane begins."""
        return self.shard * LANE


@dataclass(frozen=True, slots=True)
class RunBar:
    """One run of a task, wherever it was."""

    run: int
    pieces: Sequence[Piece]
    """In the order in which they were placed."""
    pages: int
    items: int
    now_ns: int

    @property
    def state(self) -> RunState:
        """How far its head is, or how it ended."""
        return self._heads[-1].state

    @property
    def began_ns(self) -> int:
        """When it was placed first."""
        return self.pieces[0].placed_ns

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (_end(self.pieces, self.now_ns) - self.began_ns) / NS

    @property
    def workers(self) -> Sequence[str]:
        """Where its head was, one after the other."""
        found = [each.worker for each in self._heads if each.worker]
        return [name for at, name in enumerate(found) if not at or found[at - 1] != name]

    @property
    def moves(self) -> Sequence[Piece]:
        """The pieces after which it was placed again, and why."""
        last = max(each.epoch for each in self._heads)
        return [each for each in self._heads if each.reason and each.epoch < last]

    @property
    def reason(self) -> str:
        """Why it ended as it did, if that is told."""
        return self._heads[-1].reason

    @property
    def high(self) -> int:
        """The height of its bar."""
        return min(MOST_LANES, 1 + max(each.shard for each in self.pieces)) * LANE

    @property
    def _heads(self) -> Sequence[Piece]:
        return [each for each in self.pieces if each.shard == 0] or self.pieces


def bars(events: Sequence[Event], task: Resource, now_ns: int, most: int) -> Sequence[RunBar]:
    """Return the latest runs that the events of a task tell, the latest first. The last one has
    the counts of the task."""
    found: dict[int, dict[tuple[int, int], list[Event]]] = {}
    for event in events:
        if event.state is not None and event.shard < MOST_LANES and event.id == task.id:
            run = found.setdefault(event.run, {})
            run.setdefault((event.epoch, event.shard), []).append(event)
    latest = list(found.items())[-most:]
    rows = [(run, sorted(map(_piece, of.values()), key=_placed), of) for run, of in latest]
    longest = max((_end(pieces, now_ns) - pieces[0].placed_ns for _, pieces, _ in rows), default=0)
    return [
        RunBar(
            run,
            _laid_out(pieces, longest or 1, now_ns),
            *(_told(task) if run == task.run else _counts(of)),
            now_ns,
        )
        for run, pieces, of in reversed(rows)
    ]


def _piece(events: Sequence[Event]) -> Piece:
    times = {event.step: event.time_ns for event in events}
    last = events[-1]
    begun = times.get(Step.BEGUN, 0)
    return Piece(
        *(last.epoch, last.shard, next((e.worker for e in events if e.worker), "")),
        last.state or RunState.PLACED,
        times.get(Step.PLACED) or begun or events[0].time_ns,
        begun,
        times.get(Step.ENDED, 0),
        last.reason if Step.ENDED in times else "",
    )


def _laid_out(pieces: Sequence[Piece], longest: int, now_ns: int) -> Sequence[Piece]:
    """Return the pieces with their places in the bar."""
    scale, first = WIDTH / longest, pieces[0].placed_ns
    found = []
    for each in pieces:
        end = each.ended_ns or now_ns
        wide = max(LEAST, (end - each.placed_ns) * scale)
        x = min((each.placed_ns - first) * scale, WIDTH - LEAST)
        waited = min(wide, max(0.0, ((each.begun_ns or end) - each.placed_ns) * scale))
        found.append(replace(each, x=x, wide=min(wide, WIDTH - x), waited=waited))
    return found


def _counts(pieces: dict[tuple[int, int], list[Event]]) -> tuple[int, int]:
    """Return the pages and items of a run: those that each shard counted last."""
    last = {shard: events[-1].counts for (_, shard), events in sorted(pieces.items())}
    return sum(each.pages for each in last.values()), sum(each.items for each in last.values())


def _told(task: Resource) -> tuple[int, int]:
    return task.counts.pages, task.counts.items


def _placed(piece: Piece) -> tuple[int, int]:
    return piece.placed_ns, piece.epoch


def _end(pieces: Sequence[Piece], now_ns: int) -> int:
    return max(each.ended_ns or now_ns for each in pieces)
