"""Keeps the shards of each task in line with the task's own resource, the head.

All that a shard is follows from the head, so a pass needs no memory of what was begun: it makes
what is missing, changes what differs, and removes what is too much. Whatever a leader left half
done, or somebody wrote into etcd, the next pass mends. The functions do no input or output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from crawler.logs import get_logger
from crawler.model.records import Resource, State
from crawler.model.shards import shard_names, shard_spec
from crawler.node.master.assignment import afresh, next_epoch
from crawler.node.master.draft import Draft
from crawler.node.master.pauses import like_head
from crawler.node.master.rolling import rolled
from crawler.settings import live

log = get_logger(__name__)

END_S = 5.0
"""The seconds for which the shards of a task may end by themselves after its head has ended. They
hear of it within a second, and report what they have counted."""


class Shards:
    """Mends the shards of tasks, pass by pass, for one term."""

    def __init__(self, revision: Callable[[], int]) -> None:
        """`revision` returns the latest revision of the store that this master has seen."""
        self._revision = revision
        self.with_counts: Callable[[Resource], Resource] = lambda resource: resource
        """Returns a resource with the latest counts that its worker reported."""
        self._ends: dict[str, float] = {}
        """The tasks that have ended with shards that have not, and until when these may take."""

    def idle_s(self, now_s: float) -> float:
        """Return the seconds until a shard has to be ended; infinite if none has to be."""
        return max(0.0, min(self._ends.values(), default=math.inf) - now_s)

    def mend(self, draft: Draft, tasks: Iterable[str], now_s: float, now_ns: int) -> None:
        """Mend the shards of these tasks, and end those that had their time."""
        due = [task for task, due_s in self._ends.items() if due_s <= now_s]
        for task in dict.fromkeys([*tasks, *due]):
            head = draft.get(task)
            for shard in self._surplus(draft, task, head):
                draft.delete(shard.name)
            if head is None or head.spec.workers == 1 or head.spec.shard:
                self._ends.pop(task, None)
            elif head.has_ended:
                self._end(draft, head, now_s)
            else:
                self._ends.pop(task, None)
                self._align(draft, _mended(draft, head, now_ns))

    def _surplus(self, draft: Draft, task: str, head: Resource | None) -> list[Resource]:
        """Return the shards that the task is not to have, or that belong to an earlier one of its
        name."""
        found = shards_of(draft.get, task)
        if head is None or head.spec.shard:
            return list(found)
        is_old = head.id if head.has_ended else ""
        keeps = head.spec.workers
        return [s for s in found if s.spec.shard >= keeps or (is_old and s.id != head.id)]

    def _align(self, draft: Draft, head: Resource) -> None:
        for number, name in enumerate(shard_names(head.name, head.spec.workers), 1):
            present = draft.get(name)
            if present is not None and present.spec.shard_of != head.name:
                log.error(
                    "a task has a name that a shard needs; delete it, or ask for fewer workers",
                    task=name,
                    needed_by=head.name,
                )
                continue
            wanted = self._aligned(head, number, present)
            if wanted != present:
                draft.put(wanted)

    def _aligned(self, head: Resource, number: int, present: Resource | None) -> Resource:
        """Return a shard as it has to be. A new one begins above all epochs that an earlier one of
        its name can have had, because each of those took a revision."""
        spec = shard_spec(head.spec, number)
        waits = head.awaits_spider and head.state is State.PENDING
        if present is None or present.id != head.id:
            epoch = max(self._revision(), 0 if present is None else present.epoch)
            made = Resource(spec, id=head.id, epoch=epoch, generation=head.generation)
            made = made.replace(awaits_spider=waits, resumes=head.resumes, paused=head.paused)
            return made.replace(trace=head.trace)
        changed = present if present.spec == spec else present.replace(spec=spec)
        anew = present.generation != head.generation
        if anew or any(live.changes(present.spec, spec).values()):
            begun = afresh(changed).replace(stopped=False, trace=head.trace)
            about = {"generation": head.generation, "resumes": head.resumes}
            changed = begun.replace(awaits_spider=waits, **about)
        return like_head(_with_bundle_of(head, changed), head, self.with_counts)

    def _end(self, draft: Draft, head: Resource, now_s: float) -> None:
        """End the shards of a task that has ended: at once what does not run, the others when they
        had their time."""
        left = [each for each in shards_of(draft.get, head.name) if not each.has_ended]
        due_s = self._ends.setdefault(head.name, now_s + END_S)
        for shard in left:
            if shard.owner is None or shard.awaits_spider or now_s >= due_s:
                ended = self.with_counts(shard).replace(state=State.DONE, awaits_spider=False)
                draft.put(ended.replace(reason="", running=0))
        if not left or now_s >= due_s:
            del self._ends[head.name]


def _mended(draft: Draft, head: Resource, now_ns: int) -> Resource:
    """Return the head as it has to be for its shards, and put it into the draft if it changed.

    A run that began when the task was on one worker begins again on the same one, where it was: it
    shares nothing yet. A task that failed when it was over, and is tried again, begins anew, with
    all its shards. That it was over shows in a shard that is done.
    """
    changed = head
    if head.owner is not None and not head.shared:
        changed = head.given_to(head.owner, next_epoch(head), now_ns)
    shards = shards_of(draft.get, head.name)
    is_over = any(s.state is State.DONE and s.generation == head.generation for s in shards)
    has_failed = head.state is State.PENDING and head.failed_on and not head.interruption.reason
    if is_over and has_failed:
        changed = head.replace(generation=head.generation + 1, resumes=0)
    if changed is not head:
        draft.put(changed)
    return changed


def _with_bundle_of(head: Resource, shard: Resource) -> Resource:
    """Return a shard that has the bundle of its task: all shards run the same code."""
    if shard.has_ended or not head.digest or shard.digest in ("", head.digest):
        return shard
    return rolled(shard, head.digest, head.assigned_time)


def shards_of(find: Callable[[str], Resource | None], task: str) -> Iterator[Resource]:
    """Yield the shards of a task that are there, beside its head, in their order."""
    for name in shard_names(task):
        resource = find(name)
        if resource is not None and resource.spec.shard_of == task:
            yield resource
