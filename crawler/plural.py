"""Counts as people read them: `1 page`, `1,360 pages`."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """The noun as it stands beside that count. Only for nouns whose plural ends in `s`."""
    return noun if count == 1 else f"{noun}es" if noun.endswith("ss") else f"{noun}s"


def counted(count: int, noun: str) -> str:
    """The count and its noun, with commas between the thousands."""
    return f"{count:,} {plural(count, noun)}"
