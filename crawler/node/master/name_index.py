"""The names of all resources in sorted order, for listings page by page."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator


class NameIndex:
    """Sorts all names when a listing first asks for them, and later only the names that changed."""

    def __init__(self, present: Callable[[], Iterable[str]], known: Callable[[str], bool]) -> None:
        """`present` returns all names, in any order. `known` tells whether a name is one of
        them."""
        self._present = present
        self._known = known
        self._sorted: list[str] | None = None
        self._changed: set[str] = set()
        """The names that were added or removed since the last sort."""

    def changed(self, name: str) -> None:
        """Note that a resource was added or removed.

        If most names changed, nobody has asked for long: the index then drops its order.
        """
        if self._sorted is not None:
            self._changed.add(name)
            if len(self._changed) > len(self._sorted):
                self._sorted = None
                self._changed = set()

    def after(self, name: str) -> Iterator[str]:
        """Yield the names that sort after `name`, which need not exist."""
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
            names.sort()  # merges two sorted runs in linear time
            self._sorted = names
            self._changed = set()
        return self._sorted
