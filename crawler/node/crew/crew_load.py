"""What the crawls of a worker cost, beside what its own process takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol


class CrewLoad(Protocol):
    """The load of the processes of a crew."""

    @property
    def processors(self) -> int:
        """How many processors its crawls can use at once."""
        ...

    def cpu_s(self) -> float:
        """The seconds of processors that its processes have taken since the worker began, also
        those that are gone."""
        ...

    def take_late_s(self) -> float:
        """By how many seconds a hub of its processes was late since the last call, at worst."""
        ...


class NoLoad:
    """The load of a crew without processes: all that it costs, the worker's own process takes."""

    processors = 1
    """Python uses no more."""

    def cpu_s(self) -> float:
        """It has none to take any."""
        return 0.0

    def take_late_s(self) -> float:
        """It has none to be late."""
        return 0.0


class Costly(Protocol):
    """A process, as far as its load goes."""

    cpu_s: float
    """The seconds of processors that it had taken at the last look."""

    def look(self) -> None:
        """Look at what it has taken."""
        ...

    def take_late_s(self) -> float:
        """By how many seconds its hub was late since the last call, at worst."""
        ...


class ProcessesLoad:
    """The load of processes that come and go."""

    def __init__(self, processes: Callable[[], Iterable[Costly]], processors: int) -> None:
        """`processes` are those that live, or are not buried yet."""
        self.processors = processors
        self._processes = processes
        self._past_s = 0.0

    def cpu_s(self) -> float:
        """The seconds that all have taken, also those that are buried. It only rises."""
        self.look()
        return self._past_s + sum(process.cpu_s for process in self._processes())

    def take_late_s(self) -> float:
        """The worst lateness of those that live."""
        return max((process.take_late_s() for process in self._processes()), default=0.0)

    def look(self) -> None:
        """Look at each. What it takes until its end without another look, nobody knows."""
        for process in self._processes():
            process.look()

    def bury(self, process: Costly) -> None:
        """One is not among the living any more. What it has taken still counts."""
        self._past_s += process.cpu_s
