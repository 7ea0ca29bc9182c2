"""Finds the tasks that kill their workers, and parks them for a while.

A dead worker does not say which task killed it. The leader therefore considers all tasks that the
worker got lately. Of these it blames only the ones with the highest count so far. The tasks of a
dead worker are spread over the other workers. A task that kills is therefore soon the only one with
its count, and is parked before it has killed all workers.

The count is that of different workers. It is taken back when the worker comes back in the same
process, because that process did not die; unless it says that a callback of the task had kept it
from renewing its lease. Each registration is heard once about that. The charge stays with the task
until somebody updates it. A death whose cause came from outside counts for nobody (`outside.py`).
A task that outlived `scheduler.poison_window_s` on a worker is acquitted.

A parked task is tried again after a pause, which doubles each time. Then one more death parks it
again. All of this is stored with the task.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from crawler.coordination.stored import MOST_KILLS
from crawler.model.records import NO_BLAME, Blame, Node, Resource
from crawler.node.master.outside import OutsideCauses, host_of
from crawler.node.master.workers import Incarnation, WorkerSnapshot, incarnation_of
from crawler.plural import counted

MOST_PAUSE_S = 3600.0
"""The longest pause of a parked task, in seconds."""

MOST_DOUBLINGS = 20

MOST_LIVES = 64
"""How many deaths a task keeps by name. Of earlier ones only their number stays."""

AT_ONCE = 0.5
"""Deaths on one machine are at once if they are noticed within this share of the TTL. A task that
kills one worker after the other needs more: the lease of each has to end."""

POSTHUMOUS = 0.5
"""A task that a worker got within this share of the TTL before its death was noticed came too late
to kill it: nodes renew their leases five times in a TTL."""


HUNG = " hung"
"""Ends the text of a life that ended because a callback of the task computed."""


class _Finding(NamedTuple):
    """What a death means for one task of the dead worker."""

    life: Incarnation
    kills: int
    blame: Blame


class PoisonWatch:
    """Counts the workers that each task killed. The counts are stored with the tasks."""

    def __init__(self, most: int, window_s: float, pause_s: float, ttl_s: float = 0.0) -> None:
        """`most` is the number of workers that a task may kill before it is parked; 0 means no
        limit. A task can have killed a worker only if the worker died within `window_s` seconds
        after it got the task. `pause_s` is the first pause of a parked task, `ttl_s` the time to
        live of leases."""
        self._most = most
        self._window_ns = int(window_s * 1e9)
        self._posthumous_ns = int(ttl_s * POSTHUMOUS * 1e9)
        self._pause_s = pause_s
        self._outside = OutsideCauses(ttl_s * AT_ONCE)
        self._findings: dict[str, _Finding] = {}
        """Task → what to store with it."""
        self._charged: dict[str, set[str]] = {}
        """Node id → the tasks that are blamed for a death of that worker."""
        self._parked: dict[str, tuple[int, float]] = {}
        """Parked task → until when by the wall clock as stored, and by the monotonic clock."""
        self._heard: dict[str, int] | None = None
        """Node id → its latest registration that was heard; None before the first pass."""
        self.hung: dict[str, Incarnation] = {}
        """Task → the life of a worker that ended because a callback of the task computed, until
        that is stored."""

    # -- who is to blame -----------------------------------------------------------------------

    def blame(
        self,
        orphaned: Mapping[Incarnation, Sequence[Resource]],
        workers: WorkerSnapshot,
        left_in_order: Callable[[Incarnation], bool],
        now_s: float,
        now_ns: int,
    ) -> Iterable[str]:
        """Judge the tasks of workers that were found dead in one pass. Return the tasks to
        `review` because of an earlier death."""
        dead = {
            life: host_of(tasks[0].owner.address) if tasks and tasks[0].owner else ""
            for life, tasks in orphaned.items()
            if not left_in_order(life)
        }
        excused = self._outside.note(dead, workers, now_s)
        for life, tasks in orphaned.items():
            fresh = [task for task in tasks if not self._knows(task, life)]
            is_guilty = life in dead and not self._is_innocent(life, workers.live)
            self._find(life, fresh, is_guilty, now_ns)
        return {name for life in excused for name in self._charged.get(life.node_id, ())}

    def _find(
        self, life: Incarnation, tasks: Sequence[Resource], is_guilty: bool, now_ns: int
    ) -> None:
        ages = [(task, now_ns - task.assigned_time) for task in tasks]
        could = [task for task, age in ages if self._posthumous_ns <= age < self._window_ns]
        worst = max((task.kills for task in could), default=0)
        for task, age in ages:
            kills, blame = task.kills, task.blame
            if age >= self._window_ns:
                kills, blame = 0, NO_BLAME
            elif is_guilty and age >= self._posthumous_ns and kills == worst:
                kills, blame = _charged(task, _text(life))
                self._charged.setdefault(life.node_id, set()).add(task.name)
            self._findings[task.name] = _Finding(life, kills, blame)

    def judged(self, resource: Resource) -> Resource:
        """Return the resource with what the death of its worker means for it."""
        finding = self._findings.get(resource.name) if self._findings else None
        if finding is None:
            return resource
        if resource.owner is None or incarnation_of(resource.owner) != finding.life:
            del self._findings[resource.name]  # it is stored, and the task has another owner
            return resource
        return _with(resource, finding.kills, finding.blame)

    # -- who is not ----------------------------------------------------------------------------

    def returned(self, node_ids: Iterable[str], live: Mapping[str, Node]) -> set[str]:
        """Return the tasks to `review` because these workers may be back in the same process.

        An earlier leader has heard the registrations that are there at the first pass.
        """
        names = set(self.hung)
        is_first = self._heard is None
        heard = self._heard = self._heard or {}
        for node_id in node_ids:
            node = live.get(node_id)
            if node is None or node.first_incarnation == node.incarnation:
                continue
            names |= self._charged.pop(node_id, set())
            is_new = heard.get(node_id) != node.incarnation
            heard[node_id] = node.incarnation
            revision, task = node.hung
            if task and self._most and is_new and not is_first:
                self.hung[task] = Incarnation(node_id, revision)
                names.add(task)
        return names

    def review(
        self, resource: Resource, stored: Resource | None, live: Mapping[str, Node]
    ) -> Resource:
        """Return the resource without the deaths of which it turned out to be innocent, and with
        the one for which its own callback is to blame.

        `stored` is the resource without the changes of this pass, which may fail to commit.
        """
        hung = self.hung.get(resource.name)
        if hung is not None:
            text = _text(hung) + HUNG
            if stored is not None and text in stored.blame.lives:
                del self.hung[resource.name]
            elif text not in resource.blame.lives:
                resource = _with(resource, *_charged_with_hanging(resource, hung))
        kept = tuple(
            text
            for text in resource.blame.lives
            if _is_hung(text) or not self._is_innocent(_life(text), live, resource.name)
        )
        for text in kept:
            self._charged.setdefault(_life(text).node_id, set()).add(resource.name)
        if kept == resource.blame.lives:
            return resource
        kills = _unnamed(resource) + _count(kept)
        blame = replace(resource.blame, lives=kept)
        if kills < self._most:
            blame = replace(blame, until=0, parkings=0)
        return _with(resource, kills, blame if kills else NO_BLAME)

    def _is_innocent(self, life: Incarnation, live: Mapping[str, Node], task: str = "") -> bool:
        """Whether no task of that life of a worker, or not this task, can have ended it."""
        if life in self._outside:
            return True
        node = live.get(life.node_id)
        if node is None or not node.first_incarnation <= life.revision < node.incarnation:
            return False
        return node.hung != (life.revision, task)

    # -- what follows --------------------------------------------------------------------------

    def sentenced(self, resource: Resource, now_s: float, now_ns: int) -> Resource:
        """Return the resource with the time until which it is parked, if it has to be."""
        if not self._is_poisonous(resource):
            self._parked.pop(resource.name, None)
            return resource
        if not resource.blame.until:
            parkings = min(resource.blame.parkings + 1, MOST_KILLS)
            until = now_ns + int(self._pause_of(parkings) * 1e9)
            blame = replace(resource.blame, parkings=parkings, until=until)
            resource = _with(resource, resource.kills, blame)
        blame = resource.blame
        if self._parked.get(resource.name, (0, 0.0))[0] != blame.until:
            # The wall clock may have jumped since. The pause is never longer than it was meant.
            left_s = min((blame.until - now_ns) / 1e9, self._pause_of(blame.parkings))
            self._parked[resource.name] = blame.until, now_s + left_s
        return resource

    def due_s(self, resource: Resource) -> float:
        """Return the monotonic time until which a sentenced task is parked; 0 for others."""
        return self._parked[resource.name][1] if resource.name in self._parked else 0.0

    def parked_s(self, name: str, now_s: float) -> float:
        """Return the seconds for which a task is still parked; 0 for others."""
        return max(0.0, self._parked.get(name, (0, 0.0))[1] - now_s)

    def reason(self, resource: Resource) -> str:
        """Return why a sentenced task is parked, and until when."""
        at = datetime.fromtimestamp(resource.blame.until // 10**9, UTC)
        return (
            f"parked: {deaths_of(resource)}; "
            f"it is tried again at {at:%Y-%m-%d %H:%M:%S} UTC; "
            "mend its spider, then update it to try it at once"
        )

    def forget(self, name: str) -> None:
        """Forget a task that was deleted."""
        self._findings.pop(name, None)
        self._parked.pop(name, None)
        self.hung.pop(name, None)

    def _is_poisonous(self, resource: Resource) -> bool:
        return 0 < self._most <= resource.kills

    def _pause_of(self, parkings: int) -> float:
        """Return the pause of that parking, which is the first, second and so on."""
        doublings = min(max(0, parkings - 1), MOST_DOUBLINGS)
        return min(self._pause_s * 2.0**doublings, max(MOST_PAUSE_S, self._pause_s))

    def _knows(self, task: Resource, life: Incarnation) -> bool:
        found = self._findings.get(task.name)
        return found is not None and found.life == life


def deaths_of(resource: Resource) -> str:
    """Return who died of a task, in words."""
    processes = min(resource.blame.processes, resource.kills)
    workers = resource.kills - processes
    told = (
        f"{counted(workers, 'worker')} died soon after they were given it" if workers else "",
        f"{counted(processes, 'process')} died of it" if processes else "",
    )
    return ", and ".join(filter(None, told))


def _charged(task: Resource, text: str) -> tuple[int, Blame]:
    """Return the count and the blame of a task after one more death. Of each worker its latest
    death is kept, and its first one in which it hung, or else its first."""
    node_id = _life(text).node_id
    same = [each for each in task.blame.lives if _life(each).node_id == node_id]
    others = [each for each in task.blame.lives if each not in same]
    first = sorted(same, key=_is_hung, reverse=True)[:1]
    lives = (*others, *first, text)
    kills = min(_unnamed(task) + _count(lives), MOST_KILLS)
    return kills, replace(task.blame, lives=lives[-MOST_LIVES:], until=0)


def _charged_with_hanging(task: Resource, life: Incarnation) -> tuple[int, Blame]:
    """Return the count and the blame of a task whose callback ended a life. A death that is counted
    already is only marked, so that a parking for it goes on."""
    plain = _text(life)
    if plain not in task.blame.lives:
        return _charged(task, plain + HUNG)
    lives = tuple(text + HUNG if text == plain else text for text in task.blame.lives)
    return task.kills, replace(task.blame, lives=lives)


def _with(resource: Resource, kills: int, blame: Blame) -> Resource:
    if (kills, blame) == (resource.kills, resource.blame):
        return resource
    return resource.replace(kills=kills, blame=blame)


def _count(lives: Iterable[str]) -> int:
    return len({_life(text).node_id for text in lives})


def _unnamed(resource: Resource) -> int:
    """Return how many of the deaths are not among those with a name: processes that crawled it, and
    what a program counted that did not note whose they were."""
    return max(0, resource.kills - _count(resource.blame.lives))


def _text(life: Incarnation) -> str:
    return f"{life.node_id} {life.revision}"


def _is_hung(text: str) -> bool:
    return text.endswith(HUNG)


def _life(text: str) -> Incarnation:
    node_id, _, revision = text.removesuffix(HUNG).rpartition(" ")
    return Incarnation(node_id, int(revision) if len(revision) < 20 and revision.isdecimal() else 0)
