"""Carries out requests about schedules for one term: add, change, show, pause and delete them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crawler.clock import give_turn
from crawler.coordination.decisions import MOST_TRIES
from crawler.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, WouldRestart, shown
from crawler.model.access import has_labels
from crawler.model.schedules import (
    MOST_SCHEDULES,
    NEXT_SHOWN,
    Overlap,
    Schedule,
    ScheduleView,
    ScheduleWish,
    absent,
)
from crawler.node.master.commands import parameter_faults
from crawler.node.master.leader_context import LeaderContext
from crawler.schedules import due
from crawler.schedules.timetable import never_fires, next_times, offset_ns

LISTED_A_TURN = 100
"""How many schedules of a list are told before other greenlets get a turn."""

Bounds = Mapping[str, str]
"""The labels that the task of a schedule must have, or it does not exist for the caller."""


class ScheduleRequests:
    """Stores and removes schedules, in the greenlet of the request."""

    def __init__(self, ctx: LeaderContext, alone: str) -> None:
        self._ctx = ctx
        self._schedules = ctx.schedules
        self._alone = alone

    def add(self, wish: ScheduleWish) -> ScheduleView:
        """Add a schedule. Its first moment is after now. Raises AlreadyExists, InvalidArgument,
        Conflict, LeadershipLost, Retryable."""
        self._check(wish)
        now_ns = self._ctx.clock.time_ns()
        _check_to_come(wish, now_ns)
        found = self._schedules.get(wish.name)
        if found is not None and found.wish == wish:
            return self._view(found)
        if found is not None:
            raise AlreadyExists(
                f"schedule {wish.name!r} exists and is another one; update it, delete it, or "
                "choose another name"
            )
        if len(self._schedules.mirror.values) >= MOST_SCHEDULES:
            raise InvalidArgument(
                f"name: there are {MOST_SCHEDULES} schedules already, and more are not allowed; "
                "delete one: crawler schedule delete"
            )
        return self._put(Schedule(wish, now_ns, now_ns))

    def update(self, wish: ScheduleWish, bounds: Bounds) -> ScheduleView:
        """Change a schedule. Raises NotFound, and as `add` does."""
        self._check(wish)
        now_ns = self._ctx.clock.time_ns()
        before = self._found(wish.name, bounds).wish
        if (before.when, before.time_zone) != (wish.when, wish.time_zone):
            _check_to_come(wish, now_ns)
        return self._change(wish.name, lambda found: found.changed_to(wish, now_ns), bounds)

    def get(self, name: str, bounds: Bounds) -> ScheduleView:
        """Return a schedule. Raises NotFound."""
        return self._view(self._found(name, bounds))

    def all(self, bounds: Bounds) -> Sequence[ScheduleView]:
        """Return all schedules, by name, each with its next time alone."""
        views = []
        for number, (_, each) in enumerate(sorted(self._schedules.all().items())):
            if number % LISTED_A_TURN == LISTED_A_TURN - 1:
                give_turn()
            if has_labels(each.wish.task.labels, bounds):
                views.append(self._view(each, 1))
        return views

    def pause(self, name: str, bounds: Bounds) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound, Conflict, LeadershipLost, Retryable."""
        return self._change(name, lambda found: found.paused(), bounds)

    def resume(self, name: str, bounds: Bounds) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises as `pause` does."""
        now_ns = self._ctx.clock.time_ns()

        def resumed(found: Schedule) -> Schedule:
            # What its jitter delays still fires, if that is after now.
            return found.resumed(now_ns - offset_ns(name, found.wish.jitter_s))

        return self._change(name, resumed, bounds)

    def run(self, name: str, bounds: Bounds) -> ScheduleView:
        """Let a schedule fire now, beside its moments. Raises WouldRestart, and as `pause`
        does."""
        return self._change(name, self._fired_now, bounds)

    def remove(self, name: str, bounds: Bounds) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises as `pause` does."""
        found = self._found(name, bounds)
        self._schedules.remove(self._ctx.leadership, found)
        return self._view(found)

    def _fired_now(self, found: Schedule) -> Schedule:
        if found.firing is not None:
            raise Conflict(f"schedule {found.name!r} begins its task already")
        task, overlap = found.wish.task.name, found.wish.overlap
        if due.goes_on(self._ctx.mirrors.resource(task)) and overlap in due.WAITING:
            raise WouldRestart(
                f"task {task!r} still runs, and the schedule does not let its runs overlap; "
                f"begin it anew all the same: crawler again {task}"
            )
        step = due.now(found, self._ctx.mirrors.resource, self._ctx.clock.time_ns())
        return step.schedule

    def _change(
        self, name: str, change: Callable[[Schedule], Schedule], bounds: Bounds
    ) -> ScheduleView:
        """Change a schedule; again if it was changed meanwhile, by a firing perhaps. It may be the
        one of others by then."""
        for _ in range(MOST_TRIES):
            found = self._found(name, bounds)
            changed = change(found)
            if changed == found:
                return self._view(found)
            try:
                return self._put(changed)
            except Conflict:
                continue
        raise Conflict(f"others keep changing schedule {name!r}; try again")

    def _check(self, wish: ScheduleWish) -> None:
        """Check what only the leader knows of a wish. Raises InvalidArgument."""
        faults = parameter_faults(wish.task)
        if faults:
            raise InvalidArgument(f"task.{faults}")
        if wish.task.workers > 1 and self._alone:
            raise InvalidArgument(f"task.{self._alone}")
        if wish.task.workers > 1 and wish.overlap is Overlap.ALLOW:
            raise InvalidArgument(
                f"task.workers: {wish.task.workers} is not allowed with overlap allow; allowed is 1"
            )

    def _found(self, name: str, bounds: Bounds) -> Schedule:
        found = self._schedules.get(name)
        if found is None or not has_labels(found.wish.task.labels, bounds):
            raise NotFound(absent(name))
        return found

    def _put(self, schedule: Schedule) -> ScheduleView:
        """Store a schedule whose next times can be told."""
        try:
            told = next_times(schedule, self._ctx.clock.time_ns())
        except (ValueError, OverflowError) as error:
            raise InvalidArgument(f"when: {shown(schedule.wish.when)}: {error}") from None
        return ScheduleView(self._schedules.put(self._ctx.leadership, schedule), told)

    def _view(self, schedule: Schedule, count: int = NEXT_SHOWN) -> ScheduleView:
        """Return a schedule with its next times. If these cannot be told, it says so: a list has
        all the others."""
        try:
            return ScheduleView(schedule, next_times(schedule, self._ctx.clock.time_ns(), count))
        except (ValueError, OverflowError) as error:
            fault = f"the next times cannot be told: {error}"
            return ScheduleView(replace(schedule, outcome=fault))


def _check_to_come(wish: ScheduleWish, now_ns: int) -> None:
    if never_fires(wish, now_ns):
        raise InvalidArgument(
            f"when: {shown(wish.when)} is never to come; allowed is a time that lies ahead"
        )
