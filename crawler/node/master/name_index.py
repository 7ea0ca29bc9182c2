"""The names of all resources in their order, for listings a page at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator


class NameIndex:
    """Sorted when somebody asks for the first time, and from then on only what has changed."""

    def __init__(self, present: Callable[[], Iterable[str]], known: Callable[[str], bool]) -> None:
        """`present` are all names, in any order; `known` tells of one whether it is among them."""
        self._present = present
        self._known = known
        self._sorted: list[str] | None = None
        self._changed: set[str] = set()
        """Those that came or went since they were sorted."""

    def changed(self, name: str) -> None:
        """A resource came or went. When most did, nobody has asked for long."""
        if self._sorted is not None:
            self._changed.add(name)
            if len(self._changed) > len(self._sorted):
                self._sorted = None
                self._changed = set()

    def after(self, name: str) -> Iterator[str]:
        """Those that come after a name, which need not be one of them."""
        names = self._in_order()
        start = bisect_right(names, name)
        return (names[at] for at in range(start, len(names)))

    def _in_order(self) -> list[str]:
        if self._sorted is None:
            self._sorted = sorted(self._present())
        elif self._changed:
            changed, known = self._changed, self._known
            names = [name for name in self._sorted if name not in changed]
            names += sorted(name for name in changed if known(name))
            names.sort()  # of two sorted parts, which takes one walk over them
            self._sorted = names
            self._changed = set()
        return self._sorted
