"""A schedule in the model: what each of its writes must obey, and what its moments must bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from crawler.coordination.schedules import decode_schedule, encode_schedule
from crawler.coordination.store import Event, KeyValue, Put
from crawler.model.records import Resource, Spec
from crawler.model.schedules import Overlap, Schedule, ScheduleWish
from crawler.schedules.timetable import stamp
from tests.model.nodes import KEYS

TASK = "scheduled"
EVERY_S = 10
Versions = Mapping[str, Sequence[tuple[int, Resource | None]]]


def stored(now_ns: int) -> Put:
    """A schedule whose every moment has a task of its own, so that each leaves its trace."""
    wish = ScheduleWish(
        TASK, f"@every {EVERY_S}s", Spec(TASK, spider="common"), overlap=Overlap.ALLOW
    )
    return Put(KEYS.schedule(TASK), encode_schedule(Schedule(wish, now_ns, now_ns)))


def with_pause(kv: KeyValue, is_paused: bool) -> Put | None:
    """The stored schedule paused, or not; None if it is so already."""
    found = _decoded(kv)
    if found is None or found.wish.paused is is_paused:
        return None
    wish = replace(found.wish, paused=is_paused)
    return Put(kv.key, encode_schedule(replace(found, wish=wish)))


def is_scheduled(name: str) -> bool:
    """Whether a task is the one of a moment."""
    return name.startswith(f"{TASK}-")


class Firings:
    """The moments that were decided to fire, in the order of the decisions."""

    def __init__(self, blame: Callable[[str], None]) -> None:
        self._blame = blame
        self.moments: list[int] = []
        self.present: Schedule | None = None
        self.on_began: Callable[[], None] = lambda: None
        """Called when a task was added for a moment, before anybody hears of it."""

    def take(self, event: Event) -> None:
        """A write of the schedule: no decision is taken back, and none is made twice."""
        before, after = _decoded(event.previous), _decoded(event.current)
        self.present = after
        if before is None or after is None:
            return
        if after.decided_ns < before.decided_ns:
            self._blame(f"r{event.revision}: a decision of {after.name!r} was taken back")
        if after.firing is None or after.firing == before.firing:
            return
        if before.firing is not None:
            self._blame(f"r{event.revision}: a firing was dropped: {before.firing}")
        if after.firing.moment_ns in self.moments:
            self._blame(f"r{event.revision}: it fired before: {after.firing}")
        self.moments.append(after.firing.moment_ns)

    def began(self, revision: int, name: str) -> None:
        """A task was added for a moment: for the one that is stored as being fired."""
        firing = self.present.firing if self.present is not None else None
        if firing is None or firing.task != name:
            self._blame(f"r{revision}: {name!r} was added, and {firing} is stored")
        self.on_began()

    def at_rest(self, versions: Versions) -> Iterator[str]:
        """What is wrong when all is well: a moment without its task, or one with two runs."""
        if self.present is None:
            return
        if self.present.firing is not None:
            yield f"{self.present.firing} is not carried out"
        for moment_ns in self.moments:
            tasks = [task for _, task in versions.get(f"{TASK}-{stamp(moment_ns)}", ())]
            if not tasks:
                yield f"the task of {stamp(moment_ns)} never was: a firing is lost"
            elif any(task is not None and task.generation for task in tasks):
                yield f"the task of {stamp(moment_ns)} began twice"


def _decoded(kv: KeyValue | None) -> Schedule | None:
    return None if kv is None else decode_schedule(KEYS, kv)
