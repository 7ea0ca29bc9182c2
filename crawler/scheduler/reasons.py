"""Why a task gets no worker, in words for people."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from difflib import get_close_matches

from crawler.model.constraints import goes_by
from crawler.scheduler.candidate import Candidate
from crawler.scheduler.cluster_state import ClusterState

CORDON = "cordon"
LEAVING = "leaving"
"""Stand among the plugins for what keeps all tasks off a worker."""

MOST_REASONS = 5
"""Workers named in a reason; the rest are counted."""

MOST_NEAR = 3
"""Workers named that may have been meant."""

MOST_COMPARED = 50
"""Names looked at for those: some 1 ms."""


def absences(cluster_state: ClusterState) -> Mapping[str, Mapping[str, str]]:
    """Why some live workers take no tasks at all: `CORDON` or `LEAVING` → worker id → why."""
    live = cluster_state.candidates
    return {
        CORDON: {
            id: "takes no tasks until `crawler uncordon`"
            for id in cluster_state.workers.cordoned
            if id in live
        },
        LEAVING: {id: "is about to leave" for id, each in live.items() if each.node.draining},
    }


def summary(reasons: Mapping[str, str], cluster_state: ClusterState, pinned: str = "") -> str:
    """Why each worker refuses, in one line; of a task that is pinned, why that worker does."""
    for absent in absences(cluster_state).values():
        reasons = {**reasons, **absent}
    meant = {id: why for id, why in reasons.items() if not pinned or goes_by(id, pinned)}
    named = [f"{id} {why}" for id, why in sorted(meant.items())]
    more = len(named) - MOST_REASONS
    told = "; ".join(named[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else "")
    return f"{told}; it may run on {pinned} only" if pinned else told


def registered(cluster_state: ClusterState, pinned: str) -> bool:
    """Whether there is a worker to which a task is pinned."""
    return pinned in cluster_state.candidates or any(
        goes_by(id, pinned) for id in cluster_state.candidates
    )


def missing(candidates: Mapping[str, Candidate], pinned: str) -> str:
    """That there is no worker to which a task is pinned, and which may have been meant."""
    told = f"it may run on {pinned} only, and no worker of that id or name is registered"
    ids = sorted(candidates)
    if not ids:
        return f"{told}, nor is any other"
    near = _nearest(ids, pinned)
    which = "nearest of" if len(near) < len(ids) else "there are"
    return f"{told}; {which} {len(ids)}: {', '.join(near)}"


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    unlike = (at for at, (a, b) in enumerate(zip(one, other)) if a != b)
    return one[: next(unlike, min(len(one), len(other)))]


def _nearest(ids: list[str], name: str) -> list[str]:
    """The ids most like a name, given with or without what all of them begin with; of many ids only
    those are looked at that stand near it in their order."""
    start = _shared(ids[0], ids[-1]).rfind("-") + 1
    name = name.removeprefix(ids[0][:start])
    at = bisect(ids, ids[0][:start] + name)
    first = max(0, min(at - MOST_COMPARED // 2, len(ids) - MOST_COMPARED))
    short = {id[start:]: id for id in ids[first : first + MOST_COMPARED]}
    return [short[each] for each in get_close_matches(name, short, MOST_NEAR, cutoff=0.0)]
