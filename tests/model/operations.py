"""What clients asked for and were told, to be compared with what was written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from crawler.model.records import Spec


class Fare(Enum):
    """How an operation of a client ended."""

    PENDING = "not answered yet"
    DONE = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "outcome unknown"


@dataclass(eq=False)
class Operation:
    """Something a client asked for, from its sending to its answer, in revisions."""

    kind: str
    spec: Spec
    began: int
    ended: int | None = None
    fare: Fare = Fare.PENDING
    error: str = ""
    tainted: bool = False
    """The network repeated a request meanwhile: a refusal may be that of the second."""

    def __str__(self) -> str:
        return f"{self.kind} {self.spec.name}: {self.fare.value} {self.error}".rstrip()

    def may_have(self, revision: int) -> bool:
        """Whether a change at that revision may be its doing."""
        if revision <= self.began:
            return False
        if self.fare is Fare.REFUSED:
            return False
        return self.fare is not Fare.DONE or revision <= (self.ended or 0)

    def rivals(self, other: Operation) -> bool:
        """Whether both were under way at one time, and for one task."""
        if self is other or self.spec.name != other.spec.name:
            return False
        return other.fare is Fare.UNKNOWN or other.ended is None or other.ended >= self.began


@dataclass(frozen=True)
class Effect:
    """A change that somebody must have asked for."""

    kind: str
    name: str
    spec: Spec | None
    revision: int
