"""Finds which of many forms stands at a place of a text, though they all begin alike."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence


class Alike:
    """Forms in their order. Only two of them are compared with a text, however many there are: its
    neighbours in that order are those with which it shares most."""

    def __init__(self, forms: Iterable[str]) -> None:
        self.forms = sorted(forms)
        self._most = max(map(len, self.forms), default=0)
        self._within: dict[str, str] = {}
        """For a form the longest other one with which it begins."""
        above: list[str] = []
        for form in self.forms:
            while above and not form.startswith(above[-1]):
                above.pop()
            if above:
                self._within[form] = above[-1]
            above.append(form)

    def found(self, text: str, at: int, cuts: Sequence[int], least: int) -> tuple[str, int] | None:
        """Return which form stands at a place, and where it ends there; None if none does.

        At `cuts` a text is cut off: up to there at least `least` characters of a form may stand. A
        whole one counts more.
        """
        piece = text[at : at + self._most]
        place = bisect_right(self.forms, piece)
        near = self.forms[max(0, place - 1) : place + 1]
        whole = self._whole(near[0], piece) if place else None
        if whole is not None:
            return whole, at + len(whole)
        first = bisect_left(cuts, at + least)
        if first == len(cuts) or cuts[first] > at + self._most:
            return None
        shared, form = max((_shared(form, piece), form) for form in near)
        last = bisect_right(cuts, at + shared)
        return (form, cuts[last - 1]) if last > first else None

    def _whole(self, form: str | None, piece: str) -> str | None:
        while form is not None and not piece.startswith(form):
            form = self._within.get(form)
        return form


def _shared(form: str, piece: str) -> int:
    """Return with how many characters of a form a text begins."""
    sizes = range(1, len(form) + 1)
    return bisect_right(sizes, 0, key=lambda size: not piece.startswith(form[:size]))
