"""Which runs crawled, and how many of one task at the same time, from what the site saw. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.faults.history import Violation
from tests.integration.endless import Visit


class Overlap(NamedTuple):
    """A run that went on after another of the same task had begun."""

    task: str
    old: Visit
    """The first request of the run that should have ended."""
    new: Visit
    duration_s: float


def overlaps(visits: Mapping[str, Iterable[Visit]], silence_s: float) -> list[Overlap]:
    """All of them, the longest first.

    A run that asks for nothing for longer than `silence_s` does not run meanwhile: its process
    stood still, and that time is no overlap.
    """
    found = [
        overlap for task, seen in visits.items() for overlap in _of_task(task, seen, silence_s)
    ]
    return sorted(found, key=lambda overlap: -overlap.duration_s)


def wrong_runs(
    wrote: Mapping[tuple[str, int], set[str]],
    visits: Mapping[str, Iterable[Visit]],
    owners: Mapping[tuple[str, int], set[str]],
) -> list[Violation]:
    """Runs that nobody was given, and epochs in which more than one run was at work.

    `wrote` tells which runs left items under an id and an epoch, `owners` which workers it was
    given to.
    """
    worker_of = {visit.run: visit.worker for seen in visits.values() for visit in seen}
    found = [
        f"{sorted(runs)} all ran as epoch {epoch} of {id}"
        for (id, epoch), runs in wrote.items()
        if len(runs) > 1
    ]
    found += [
        f"{worker_of[run]} ran epoch {epoch} of {id}, which was given to {owners.get((id, epoch))}"
        for (id, epoch), runs in wrote.items()
        for run in runs & worker_of.keys()
        if not any(owner.endswith(f".{worker_of[run]}") for owner in owners.get((id, epoch), ()))
    ]
    return [Violation("run", 0, text) for text in found]


def _of_task(task: str, seen: Iterable[Visit], silence_s: float) -> list[Overlap]:
    runs: dict[str, list[Visit]] = defaultdict(list)
    for visit in sorted(seen):
        runs[visit.run].append(visit)
    ordered = sorted(runs.values())
    pairs = [(old, new) for n, old in enumerate(ordered) for new in ordered[n + 1 :]]
    shared = [(old, new, _shared_s(old, new, silence_s)) for old, new in pairs]
    return [Overlap(task, old[0], new[0], length) for old, new, length in shared if length > 0]


def _shared_s(old: list[Visit], new: list[Visit], silence_s: float) -> float:
    """How long the old run was at work between the first and the last request of the new one."""
    began_s, ended_s = new[0].at_s, new[-1].at_s
    return sum(
        max(0.0, min(two.at_s, ended_s) - max(one.at_s, began_s))
        for one, two in itertools.pairwise(old)
        if two.at_s - one.at_s <= silence_s
    )
