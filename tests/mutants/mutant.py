"""A known fault, and who must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A fault, and the tests one of which must find it."""

    name: str
    file: str
    before: str
    after: str
    tests: str
