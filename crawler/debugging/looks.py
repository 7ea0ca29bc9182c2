"""What may be asked of a process about itself, one question at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawler.clock import Clock
from crawler.debugging.memory import told_memory
from crawler.debugging.profile_forms import Times
from crawler.debugging.sampler import OTHERS, WAITS, sampled
from crawler.debugging.stacks import shown_stacks
from crawler.errors import InvalidArgument, NotFound, Overloaded, shown

PROFILE, STACKS, MEMORY = "profile", "stacks", "memory"

USUAL_S = 5.0
LEAST_S = 0.1
MOST_S = 60.0
"""For how many seconds a profile is made."""

MOST_TOLD = 1_500
"""How many stacks a profile has, those with the most time. The others are one."""


BROKEN = "the look failed"
"""How a process says that it could not look, and not because of another look."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of which process."""

    what: str
    seconds: float = 0.0
    """Of a profile: how long it takes."""
    process: int = 0
    """The number of a crawl process; 0 is the node's own process."""


class Looks:
    """Answers questions about this process. The answers are JSON values."""

    def __init__(self, clock: Clock) -> None:
        self.of_process: Callable[[Question], Any] = _no_process
        """Answers questions about another process of this node."""
        self.processes: Callable[[], Sequence[int]] = tuple
        """The numbers of the processes in which the node crawls."""
        self._clock = clock
        self._under_way = ""

    def answer(self, question: Question) -> Any:
        """Look, and return what was found: a text, or an object. Raises Overloaded while another
        look is under way, and NotFound for a process that is not there."""
        if question.process:
            return self.of_process(question)
        if self._under_way:
            raise Overloaded(
                f"another look into this process ({self._under_way}) is under way; there is one"
                " at a time, try again later"
            )
        self._under_way = question.what
        try:
            return self._ANSWERS[question.what](self, question)
        finally:
            self._under_way = ""

    def _profile(self, question: Question) -> list[list[Any]]:
        with sampled() as sampler:
            self._clock.sleep(question.seconds)
        found = sorted(sampler.times().items(), key=lambda each: -each[1])
        rest_us = sum(spent_us for _, spent_us in found[MOST_TOLD:])
        names = {WAITS: _waits(self.processes())}
        told = [
            [[names.get(name, name) for name in stack], spent_us]
            for stack, spent_us in found[:MOST_TOLD]
        ]
        return [*told, [[OTHERS], rest_us]] if rest_us else told

    _ANSWERS: Mapping[str, Callable[[Looks, Question], Any]] = {
        PROFILE: _profile,
        STACKS: lambda self, question: shown_stacks(),
        MEMORY: lambda self, question: told_memory(),
    }


def _no_process(question: Question) -> Any:
    raise NotFound(f"process: {question.process} is not there; this node has no crawl processes")


def _waits(processes: Sequence[int]) -> str:
    """Return what stands for the time in which nothing was to do. Of a worker that is nearly all:
    it says who crawls."""
    if not processes:
        return WAITS
    numbers = ", ".join(map(str, processes))
    return f"{WAITS}, its crawls run in processes {numbers}: process=N"


def times_of(told: Sequence[Sequence[Any]]) -> Times:
    """Return a profile from the answer of a process. Raises ValueError and TypeError for one that
    is none: what runs code of spiders is not trusted."""
    return {tuple(map(str, stack)): int(spent_us) for stack, spent_us in told}


def seconds_of(text: str | None) -> float:
    """Return how long a profile shall take. Raises InvalidArgument."""
    if text is None:
        return USUAL_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not LEAST_S <= seconds <= MOST_S:  # nor is NaN
        raise InvalidArgument(
            f"seconds: {shown(text)} is not allowed; allowed is a number from {LEAST_S:g} to"
            f" {MOST_S:g}"
        )
    return seconds
