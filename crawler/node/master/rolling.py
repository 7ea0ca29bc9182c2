"""What another bundle makes of a run that goes on. Pure functions."""

from __future__ import annotations

from crawler.model.projects import SHORT
from crawler.model.records import Interruption, Resource
from crawler.node.master.assignment import next_epoch
from crawler.node.master.pauses import Counted, as_stored


def rolled(resource: Resource, digest: str, now_ns: int, counted: Counted = as_stored) -> Resource:
    """Return an unfinished resource whose run goes on with that bundle: on the same worker, in a
    new epoch, so that the run before ends in order and leaves its frontier. One without a worker
    gets the bundle with its next worker."""
    if resource.owner is None:
        return resource.replace(digest="")
    interruption = Interruption(f"goes on with bundle {digest[:SHORT]} of its project")
    begun = counted(resource).replace(interruption=interruption, running=0)
    return begun.given_to(resource.owner, next_epoch(resource), now_ns).replace(digest=digest)
