"""Which tasks lost their worker, and which workers are dead therefore. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.model.records import Resource
from crawler.node.master.workers import Incarnation, WorkerSnapshot, incarnation_of


def by_dead_owner(
    homeless: Iterable[Resource], workers: WorkerSnapshot
) -> dict[Incarnation, list[Resource]]:
    """Return the tasks of each dead worker, by the life of it that owned them."""
    found: dict[Incarnation, list[Resource]] = {}
    for resource in homeless:
        owner = resource.owner
        if owner is not None and not workers.stands_by(owner):
            found.setdefault(incarnation_of(owner), []).append(resource)
    return found


def noteworthy(orphaned: Mapping[Incarnation, Iterable[Resource]]) -> dict[str, int]:
    """Return the latest life of each dead worker.

    A resource is always younger than the life that it names. If it is not, another program made
    that life up.
    """
    dead: dict[str, int] = {}
    for life, tasks in orphaned.items():
        if any(0 < life.revision < task.mod_revision for task in tasks):
            dead[life.node_id] = max(life.revision, dead.get(life.node_id, 0))
    return dead
