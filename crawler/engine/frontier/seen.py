"""The requests that a crawl knows: 64-bit fingerprints in a table, about 18 bytes each.

That is the memory that ten million of them take of a process, growth included (`python -m
bench.seen`). A Python set takes about 100 bytes for each. Here they lie in arrays of machine words,
with open addressing. The high bits choose one of many arrays, and each array grows by itself. So
growth never takes longer than a millisecond at ten million, and never doubles the memory. Two of
ten million URLs share a fingerprint once in 370,000 crawls; the second would be dropped.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from sys import getsizeof
from typing import Self

SEGMENT_BITS = 13
FIRST_CELLS = 8
FULLER = 6
"""At a start, so large a part of its cells may be taken in a segment beside those that `add` takes:
five sixths in all."""
_SHIFT = 64 - SEGMENT_BITS
_FIRST = array("Q", bytes(8 * FIRST_CELLS))


class Seen:
    """A set of fingerprints from 1 to 2^64 - 1, which only grows. Their bits must be random."""

    __slots__ = ("_first", "_room", "_segments", "_size", "bytes")

    def __init__(self) -> None:
        self._segments: list[array[int] | None] = [None] * (1 << SEGMENT_BITS)
        self._room = array("i", bytes(4 << SEGMENT_BITS))
        """How many fingerprints fit into each segment before it grows."""
        self._first = _FIRST
        """What a segment begins as."""
        self._size = 0
        self.bytes = getsizeof(self._segments) + getsizeof(self._room)
        """The bytes of memory that the tables take."""

    def __len__(self) -> int:
        return self._size

    def __contains__(self, mark: int) -> bool:
        cells = self._segments[mark >> _SHIFT]
        return cells is not None and cells[_cell(cells, mark)] == mark

    def add(self, mark: int) -> bool:
        """Add a fingerprint. Returns whether it is new. Takes 0.3 us if known, 0.8 us if new."""
        number = mark >> _SHIFT
        cells = self._segments[number] or self._begin(number)
        at = _cell(cells, mark)
        if cells[at]:
            return False
        cells[at] = mark
        self._size += 1
        self._room[number] -= 1
        if self._room[number] <= 0:
            self._grow(number, cells)
        return True

    @classmethod
    def of(cls, segments: Sequence[array[int] | None], free_cells: Iterable[int]) -> Self:
        """A set with these `segments` of another, and how many cells of each are free.

        A segment that was copied just before it would have grown has no room. It grows with the
        next fingerprint.
        """
        made = cls()
        for number, (cells, free) in enumerate(zip(segments, free_cells, strict=True)):
            if cells:
                made._segments[number] = cells
                made._room[number] = _capacity(cells) - len(cells) + free
                made._size += len(cells) - free
                made.bytes += getsizeof(cells)
        return made

    def expect(self, count: int) -> None:
        """Let segments begin so large that so many fingerprints fit. Growing takes longer."""
        self._first = array("Q", bytes(8 * (FIRST_CELLS + count * 5 // (3 << SEGMENT_BITS))))

    @property
    def segments(self) -> Sequence[array[int] | None]:
        """The arrays that hold the fingerprints. Any thread may read them at any time: a
        fingerprint is there, or it is not there yet."""
        return self._segments

    def _begin(self, number: int) -> array[int]:
        cells = self._segments[number] = self._first[:]
        self.bytes += getsizeof(cells)
        self._room[number] = _capacity(cells)
        return cells

    def _grow(self, number: int, cells: array[int]) -> None:
        size = len(cells) * 3 // 2
        larger = array("Q", bytes(8 * size))
        for mark in filter(None, cells):  # as `_cell` does, but a call would take twice as long
            at = mark % size
            while larger[at]:
                at = at + 1 if at + 1 < size else 0
            larger[at] = mark
        self._segments[number] = larger
        self.bytes += getsizeof(larger) - getsizeof(cells)
        self._room[number] += _capacity(larger) - _capacity(cells)


class LoggedSeen(Seen):
    """A seen set that also lists what is new, for a store."""

    __slots__ = ("_news", "ever_held", "held")

    def __init__(self) -> None:
        super().__init__()
        self._news = array("Q")
        self.held = 0
        """How many fingerprints are kept back: a store must not know them yet."""
        self.ever_held = 0
        """How many were kept back so far."""

    def add(self, mark: int) -> bool:
        """Add a fingerprint. Returns whether it is new."""
        is_new = super().add(mark)
        if is_new:
            self._news.append(mark)
        return is_new

    def restore(self, marks: Iterable[int]) -> None:
        """Add fingerprints that are no news.

        Segments get fuller here than by `add`, and grow with their next new fingerprint. All of
        them have about the same size. So in a bad moment all would grow now, and a start would
        take as long as if each fingerprint were added anew.
        """
        segments, room, add, quick = self._segments, self._room, super().add, 0
        for mark in marks:
            number = mark >> _SHIFT
            cells = segments[number]
            size = len(cells) if cells is not None else 0
            if cells is None or room[number] <= 1 - size // FULLER:
                add(mark)
                continue
            at = mark % size
            while (found := cells[at]) and found != mark:
                at = at + 1 if at + 1 < size else 0
            if not found:  # nearly always; three times as quick as a call
                cells[at] = mark
                room[number] -= 1
                quick += 1
        self._size += quick

    def is_latest(self, mark: int) -> bool:
        """Whether a fingerprint was the last to be added, and is news."""
        return bool(self._news) and self._news[-1] == mark

    def keep_back(self, mark: int) -> bool:
        """Take the fingerprint that was added last out of the news. Returns whether it was that."""
        if self.is_latest(mark):
            self._news.pop()
            self.held += 1
            self.ever_held += 1
            return True
        return False

    def withdraw(self, mark: int) -> bool:
        """Take a fingerprint out of the news. Returns whether it was there."""
        if mark not in self._news:
            return False
        self._news.remove(mark)
        self.held += 1
        self.ever_held += 1
        return True

    def log(self, marks: Sequence[int]) -> None:
        """Add fingerprints that were kept back to the news."""
        self._news.extend(marks)
        self.held -= len(marks)

    def take_news(self) -> array[int]:
        """The fingerprints that are new since the last call."""
        news, self._news = self._news, array("Q")
        return news


def _cell(cells: array[int], mark: int) -> int:
    """The index of a fingerprint, or of the empty cell where it belongs."""
    size = len(cells)
    at = mark % size
    while (found := cells[at]) and found != mark:
        at += 1
        if at == size:
            at = 0
    return at


def _capacity(cells: array[int]) -> int:
    """How many fingerprints fit: two thirds of the cells. With more, a search takes long."""
    return len(cells) * 2 // 3
