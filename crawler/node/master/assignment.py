"""What a pass writes into a task: its new owner and epoch, or why it waits. Pure functions."""

from __future__ import annotations

from crawler.coordination.stored import MOST_EPOCH, MOST_RUNS
from crawler.errors import shown
from crawler.model.records import NO_BLAME, NOT_INTERRUPTED, NOT_PAUSED, Node, Resource, State
from crawler.node.master.workers import WorkerSnapshot


def needs_owner(resource: Resource, workers: WorkerSnapshot) -> bool:
    """Whether a resource needs an owner: it has work left and no worker responsible for it, or its
    worker is cordoned."""
    if resource.paused:
        return False
    if resource.awaits_spider:
        return workers.has_spider(resource.spec.offered_as)
    if resource.state.finished:
        return False
    owner = resource.owner
    if owner is None or not workers.stands_by(owner):
        return True
    if owner.node_id not in workers.cordoned:
        return False
    # If no schedulable worker has its spider, the task would move and fail.
    return workers.has_spider(resource.spec.offered_as) or not any(workers.schedulable)


def assigned(resource: Resource, node: Node, now_ns: int) -> Resource:
    """Return the resource with this worker as its owner, in the next epoch. The original is
    unchanged."""
    return resource.given_to(node.as_owner, epoch=next_epoch(resource), now_ns=now_ns)


def next_epoch(resource: Resource) -> int:
    """Return one more than the last epoch.

    A value without an epoch may be one that another program rewrote. Its revision is above all
    earlier epochs, because each of those needed a write of its own. Only a value of another program
    can reach the bound. Then the epoch stays there, because the written value must be readable.
    """
    return min((resource.epoch or resource.mod_revision) + 1, MOST_EPOCH)


def anew(resource: Resource) -> Resource:
    """Return the resource for a crawl that does not go on with the one before, unless that failed
    without an end: its state or its items could not be written.

    After an end it is another run. The runs of a task are counted from the first `run` on, so that
    what is stored of all other tasks is as ever.
    """
    may_go_on = resource.state is State.FAILED and not resource.stopped
    return afresh(resource).replace(
        generation=resource.generation + 1,
        resumes=resource.resumes + 1 if may_go_on else 0,
        run=next_run(resource) if resource.has_ended and resource.run > 1 else resource.run,
        paused=NOT_PAUSED if resource.has_ended else resource.paused,
        stopped=False,
    )


def next_run(resource: Resource) -> int:
    """Return the number of the next run of a task that has ended."""
    return min(resource.run + 1, MOST_RUNS)


def afresh(resource: Resource) -> Resource:
    """Return the resource without an owner and without a past. The placement of the same pass gives
    it an owner and a new epoch."""
    fresh = resource.replace(owner=None, state=State.PENDING, reason="", awaits_spider=False)
    fresh = fresh.replace(digest="")
    return fresh.replace(failed_on=(), kills=0, blame=NO_BLAME, interruption=NOT_INTERRUPTED)


def waiting(resource: Resource, reason: str) -> Resource:
    """Return the resource without an owner, with the reason why it waits. Without a worker that has
    its spider, a task that was to wait for one waits on."""
    awaits = resource.awaits_spider and resource.state is State.PENDING
    return resource.replace(owner=None, state=State.PENDING, reason=reason, awaits_spider=awaits)


def spiderless(resource: Resource) -> Resource:
    """Return a pending resource with the reason that it waits for its spider."""
    name = shown(resource.spec.offered_as)
    return waiting(resource, f"waits for its spider: no live worker that takes tasks offers {name}")
