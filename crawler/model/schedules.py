"""Schedules: when a task begins, again and again, and what became of the last time."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from crawler.model.records import Resource, Spec

HOUR_S = 3600.0
MOST_CATCH_UP_S = 30 * 86_400.0
"""The longest window in which a missed moment is caught up."""
MOST_JITTER_S = 86_400.0
MOST_SCHEDULES = 10_000
"""How many schedules a cluster has at most."""
NEXT_SHOWN = 5
"""How many of the next times are shown."""


class Overlap(enum.Enum):
    """What happens at a moment while the run before still goes on."""

    SKIP = "skip"
    """Nothing: this moment is passed over."""
    QUEUE = "queue"
    """The task begins again when the run before has ended. One moment waits at most."""
    REPLACE = "replace"
    """The run before is dropped, and the task begins again."""
    ALLOW = "allow"
    """Each moment has a task of its own, so no run waits for another one."""


@dataclass(frozen=True, slots=True)
class ScheduleWish:
    """A schedule as somebody asks for it."""

    name: str
    when: str
    """Five fields of cron, `@every 10m`, or `@at 2026-12-24T18:00`."""
    task: Spec
    """What begins. Its name is that of the task."""
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    jitter_s: float = 0.0
    """Within how many seconds after a moment it fires: the same for each moment."""
    catch_up_s: float = HOUR_S
    """How late a moment that was missed is still caught up, once for all that were missed."""
    paused: bool = False


def absent(name: str) -> str:
    """Return what is said of a schedule that is not there, or that its caller may not see."""
    return f"no schedule {name!r:.200}; `crawler schedule list` shows those that there are"


@dataclass(frozen=True, slots=True)
class Mark:
    """Which run of a task is its present one. Each beginning changes it."""

    id: str
    generation: int


def mark_of(task: Resource | None) -> Mark | None:
    """Return the mark of a task; None if there is no such task."""
    return None if task is None else Mark(task.id, task.generation)


@dataclass(frozen=True, slots=True)
class Firing:
    """A moment at which a task is to begin, and which was not carried out yet."""

    moment_ns: int
    task: str
    before: Mark | None
    """The task as it was before. If it has another mark, this firing has begun it."""
    since_ns: int = 0
    """From when on its lateness counts: the end of the run before, if it waited for that. 0 means
    its moment."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as the cluster knows it."""

    wish: ScheduleWish
    created_ns: int
    decided_ns: int
    """All moments up to this one are decided: they fired, wait, or were passed over."""
    firing: Firing | None = None
    """What was decided and may not be carried out yet."""
    queued_ns: int = 0
    """The moment that waits for the end of the run before; 0 if none does."""
    fired_ns: int = 0
    """The last moment at which the task began; 0 if there was none."""
    outcome: str = ""
    """What became of the last moment, in words."""
    mod_revision: int = 0

    @property
    def name(self) -> str:
        """The name, unique among the schedules."""
        return self.wish.name

    def paused(self) -> Schedule:
        """Return the schedule paused. What waits, or is stored to begin, does not begin any
        more."""
        changed = self._dropping("the schedule was paused")
        return replace(changed, wish=replace(self.wish, paused=True), queued_ns=0)

    def resumed(self, until_ns: int) -> Schedule:
        """Return the schedule going on after a moment. Those of the pause are not caught up. Nor
        does it count what was decided when the clock was ahead: somebody wants it to go on."""
        decided_ns = until_ns if self.wish.paused else self.decided_ns
        return replace(self, wish=replace(self.wish, paused=False), decided_ns=decided_ns)

    def changed_to(self, wish: ScheduleWish, now_ns: int) -> Schedule:
        """Return the schedule with another wish. If its moments are others, they count from now."""
        kept = (wish.when, wish.time_zone) == (self.wish.when, self.wish.time_zone)
        resumes = self.wish.paused and not wish.paused
        decided_ns = self.decided_ns if kept and not resumes else max(self.decided_ns, now_ns)
        changed = self
        if wish.paused or (wish.task, wish.overlap) != (self.wish.task, self.wish.overlap):
            changed = self._dropping("the schedule was changed")
        return replace(
            changed,
            wish=wish,
            decided_ns=decided_ns,
            queued_ns=0 if wish.paused or wish.overlap is not Overlap.QUEUE else self.queued_ns,
        )

    def _dropping(self, why: str) -> Schedule:
        """Return the schedule without the firing that is stored, if one is."""
        if self.firing is None:
            return self
        outcome = f"dropped: {why} before it was known that task {self.firing.task} had begun"
        return replace(self, firing=None, outcome=outcome)


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as a client sees it."""

    schedule: Schedule
    next: tuple[str, ...] = ()
    """The next times at which it fires, as RFC 3339 writes them, in its time zone."""
