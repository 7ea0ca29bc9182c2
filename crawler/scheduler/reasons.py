"""Says in words for people why a task gets no worker."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from difflib import get_close_matches

from crawler.model.constraints import goes_by
from crawler.scheduler.candidate import Candidate
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.task import Task

CORDON = "cordon"
LEAVING = "leaving"
"""The key, beside the plugins' names, for workers that refuse all tasks because they leave."""

SPIDER = "spider"
"""The key, beside the plugins' names, for workers that lack the spider that a task waits for."""

MOST_REASONS = 5
"""How many workers a reason names; it counts the rest."""

MOST_NEAR = 3
"""How many workers a reason suggests as the one that was probably meant."""

MOST_COMPARED = 50
"""How many names are compared to find those: some 1 ms."""


def absences(cluster_state: ClusterState) -> Mapping[str, Mapping[str, str]]:
    """Return why some live workers take no tasks at all: `CORDON` or `LEAVING` → worker id →
    why."""
    live = cluster_state.candidates
    return {
        CORDON: {
            id: "takes no tasks until `crawler uncordon`"
            for id in cluster_state.workers.cordoned
            if id in live
        },
        LEAVING: {id: "is about to leave" for id, each in live.items() if each.node.draining},
    }


def lacking(cluster_state: ClusterState, task: Task) -> Mapping[str, Mapping[str, str]]:
    """Return which live workers lack the spider of a task that waits for it: `SPIDER` → worker id
    → why not. No pass gives it to one of them, although no plugin may refuse them."""
    return {
        SPIDER: {
            id: "does not have its spider"
            for id, each in cluster_state.candidates.items()
            if not each.node.has_spider(task.spider_name)
        }
    }


def summary(reasons: Mapping[str, str], cluster_state: ClusterState, pinned: str = "") -> str:
    """Return in one line why each worker refuses. For a pinned task, say why its only worker
    refuses."""
    for absent in absences(cluster_state).values():
        reasons = {**reasons, **absent}
    meant = {id: why for id, why in reasons.items() if not pinned or goes_by(id, pinned)}
    named = [f"{id} {why}" for id, why in sorted(meant.items())]
    more = len(named) - MOST_REASONS
    told = "; ".join(named[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
    return f"{told}; it may run on {pinned} only" if pinned else told


def registered(cluster_state: ClusterState, pinned: str) -> bool:
    """Whether a worker to which the task is pinned is registered."""
    return pinned in cluster_state.candidates or any(
        goes_by(id, pinned) for id in cluster_state.candidates
    )


def missing(candidates: Mapping[str, Candidate], pinned: str) -> str:
    """Say that the worker to which a task is pinned is not registered, and suggest similar
    names."""
    told = f"it may run on {pinned} only, and no worker of that id or name is registered"
    ids = sorted(candidates)
    if not ids:
        return f"{told}, nor is any other"
    near = _nearest(ids, pinned)
    which = "nearest of" if len(near) < len(ids) else "there are"
    return f"{told}; {which} {len(ids)}: {', '.join(near)}"


def _shared(one: str, other: str) -> str:
    """Return the common beginning of two names."""
    unlike = (at for at, (a, b) in enumerate(zip(one, other)) if a != b)
    return one[: next(unlike, min(len(one), len(other)))]


def _nearest(ids: list[str], name: str) -> list[str]:
    """Return the ids most like a name, which may lack the beginning that all ids share.

    If there are many ids, only those near the name in sorted order are compared.
    """
    start = _shared(ids[0], ids[-1]).rfind("-") + 1
    name = name.removeprefix(ids[0][:start])
    at = bisect(ids, ids[0][:start] + name)
    first = max(0, min(at - MOST_COMPARED // 2, len(ids) - MOST_COMPARED))
    short = {id[start:]: id for id in ids[first : first + MOST_COMPARED]}
    return [short[each] for each in get_close_matches(name, short, MOST_NEAR, cutoff=0.0)]
