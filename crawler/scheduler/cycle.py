"""One pass of the scheduler, as a pure function: candidates and tasks in, a plan out.

Tasks of one shape (all but name and parameters alike) are placed together: filtered and rated once,
then taken from a heap in which only the worker just chosen is rated anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from crawler.records import Node, Spec, Verdict
from crawler.scheduler.framework import Framework
from crawler.scheduler.snapshot import Candidate

MOST_REASONS = 5
"""Nodes named in a verdict; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass decided."""

    placed: Mapping[str, Node]
    """Task name → the worker that gets it."""
    refused: Sequence[Verdict]
    """Tasks that no worker may get now."""


def run_pass(framework: Framework, candidates: Sequence[Candidate], tasks: Iterable[Spec]) -> Plan:
    """Place the tasks: higher priority first, then in the order given."""
    pool = {candidate.node.id: candidate for candidate in candidates}
    placed: dict[str, Node] = {}
    refused: list[Verdict] = []
    for group in _groups(tasks):
        reason = _place(framework, pool, group, placed)
        refused.extend(Verdict(task.name, reason) for task in group if reason)
    return Plan(placed, refused)


def _groups(tasks: Iterable[Spec]) -> Iterable[Sequence[Spec]]:
    """Tasks by shape; a group stands where its first task does."""
    groups: dict[Hashable, list[Spec]] = {}
    for task in sorted(tasks, key=lambda task: -task.priority):
        shape = (-task.priority, task.spider_name, *sorted(task.labels.items()))
        groups.setdefault(shape, []).append(task)
    return groups.values()


def _place(
    framework: Framework,
    pool: dict[str, Candidate],
    group: Sequence[Spec],
    placed: dict[str, Node],
) -> str:
    """Place a group of one shape, or say why it cannot be placed."""
    if not pool:
        return "no worker is registered; it is placed as soon as one joins"
    refusals = framework.refusals(group[0], list(pool.values()))
    suitable = [candidate for id, candidate in pool.items() if id not in refusals]
    if not suitable:
        return f"no worker suits: {_summary(refusals)}"
    heap = _rated(framework, group[0], suitable)
    heapq.heapify(heap)
    for task in group:
        chosen = pool[heap[0][2]]
        placed[task.name] = chosen.node
        pool[chosen.node.id] = chosen.with_one_more()
        heapq.heapreplace(heap, *_rated(framework, task, [pool[chosen.node.id]]))
    return ""


def _rated(
    framework: Framework, task: Spec, candidates: Sequence[Candidate]
) -> list[tuple[float, int, str]]:
    """Heap entries, best first: highest rating, then fewest resources in all, then by id."""
    ratings = framework.ratings(task, candidates)
    return [(-rating, c.owned, c.node.id) for rating, c in zip(ratings, candidates)]


def _summary(refusals: Mapping[str, str]) -> str:
    named = [f"{id} {why}" for id, why in sorted(refusals.items())]
    more = len(named) - MOST_REASONS
    return "; ".join(named[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
