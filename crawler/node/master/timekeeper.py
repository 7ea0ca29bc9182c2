"""The timekeeper of a term: it carries out what the schedules decide, each at its time.

A firing takes three steps: the schedule is stored with it, the task begins, and the schedule is
stored with what became of it. If this master ends in between, the next leader goes on with the
firing that is stored. The task shows whether it has begun already (`Begin`).
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from functools import partial

from gevent.event import Event
from gevent.lock import BoundedSemaphore

from crawler.api.backend import Call
from crawler.clock import give_turn
from crawler.errors import Conflict, CrawlerError, Lost, Rejected
from crawler.logs import get_logger
from crawler.model.schedules import Schedule
from crawler.node.master.begin import Begin
from crawler.node.master.commands import parameter_faults
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.writer import TermWriter
from crawler.schedules import due
from crawler.schedules.timetable import SECOND_NS, offset_ns
from crawler.supervision import OnEnd, Supervisor
from crawler.tracing.tracing import Kind

log = get_logger(__name__)

MOST_AT_ONCE = 64
"""How many firings are carried out at the same time."""

MOST_WAIT_S = 0.25
"""How long it waits at most: somebody may set the clock of the machine meanwhile."""

LEAST_WAIT_S = 0.001
"""How long it waits at least for what is to come: nothing is due to the nanosecond."""

AGAIN_S = 0.5
"""The pause before a firing that failed is tried again."""

STEP_S = 0.5
"""A clock that is set by less harms nothing: what waits, waits so much longer."""

PLANNED_A_TURN = 100
"""How many schedules are planned before other greenlets get a turn."""

PATIENCE_S = 10.0


class Timekeeper:
    """Carries out the schedules of the cluster for one term."""

    def __init__(self, ctx: LeaderContext, writer: TermWriter, alone: str) -> None:
        self._ctx = ctx
        self._writer = writer
        self._alone = alone
        self._supervisor = Supervisor("schedules", clock=ctx.clock)
        self._room = BoundedSemaphore(MOST_AT_ONCE)
        self._changed: set[str] = set()
        self._awake = Event()
        self._due: dict[str, int] = {}
        """When each schedule is looked at next, in nanoseconds of wall time."""
        self._heap: list[tuple[int, str]] = []
        """The same in order, with some entries that count no more."""
        self._busy: set[str] = set()
        self._ahead_s = self._wall_ahead_s()
        """By how much the wall time is ahead of the monotonic one."""

    def start(self) -> None:
        """Begin with all schedules, after this master has taken over."""
        self._changed.update(self._ctx.schedules.all())
        self._ctx.schedules.on_change = self._note
        self._supervisor.spawn("timekeeper", self._run, on_end=OnEnd.RESTART)

    def stop(self) -> None:
        """Carry out no more. What is stored, the next leader carries out."""
        self._ctx.schedules.on_change = lambda name: None
        self._supervisor.stop()

    def _note(self, name: str) -> None:
        self._changed.add(name)
        self._awake.set()

    def _run(self) -> None:
        clock = self._ctx.clock
        while True:
            self._awake.clear()
            self._heed_steps()
            self._plan_changed()
            for name in self._take_due():
                self._room.acquire()
                self._supervisor.spawn(f"firing {name}", self._look, name)
            clock.wait(self._awake, self._idle_s())

    def _heed_steps(self) -> None:
        """Plan all anew if somebody has set the clock: pauses were told in its time."""
        ahead_s = self._wall_ahead_s()
        if abs(ahead_s - self._ahead_s) > STEP_S:
            self._heap.clear()
            self._due.clear()
            self._changed.update(self._ctx.schedules.all())
        self._ahead_s = ahead_s

    def _wall_ahead_s(self) -> float:
        return self._ctx.clock.time_ns() / SECOND_NS - self._ctx.clock.monotonic()

    def _plan_changed(self) -> None:
        """Plan what has changed: after this master has taken over, all there is."""
        count = 0
        while self._changed:
            self._plan(self._changed.pop())
            count += 1
            if count % PLANNED_A_TURN == 0:
                give_turn()

    def _plan(self, name: str, not_before_ns: int = 0) -> None:
        """Note when to look at a schedule next."""
        schedule = self._ctx.schedules.get(name)
        if schedule is None or name in self._busy:
            self._due.pop(name, None)
            return
        next_ns = self._due_ns(schedule)
        if next_ns is None:
            self._due.pop(name, None)
            return
        self._due[name] = max(next_ns, not_before_ns)
        heapq.heappush(self._heap, (self._due[name], name))

    def _due_ns(self, schedule: Schedule) -> int | None:
        """Return when to look at a schedule next. One whose times cannot be told harms no other."""
        try:
            return due.due_ns(schedule, self._ctx.clock.time_ns())
        except (ValueError, OverflowError) as error:
            log.error("a schedule cannot fire", schedule=schedule.name, error=str(error))
            return None

    def _take_due(self) -> list[str]:
        now_ns, found = self._ctx.clock.time_ns(), []
        while self._heap and self._heap[0][0] <= now_ns:
            due_ns, name = heapq.heappop(self._heap)
            if self._due.get(name) == due_ns:
                del self._due[name]
                self._busy.add(name)
                found.append(name)
        return found

    def _idle_s(self) -> float | None:
        """Return how long there is nothing to do, unless something changes."""
        if self._changed:
            return 0.0
        if not self._heap:
            return None
        left_ns = self._heap[0][0] - self._ctx.clock.time_ns()
        return min(MOST_WAIT_S, max(LEAST_WAIT_S, left_ns / SECOND_NS)) if left_ns > 0 else 0.0

    def _look(self, name: str) -> None:
        """Let a schedule do what it does now. If that fails, it is tried again after a pause."""
        pause_s = 0.0
        try:
            pause_s = self._carry_out(name)
        except Lost:
            pause_s = AGAIN_S  # the term ends soon
        except CrawlerError as error:
            pause_s = AGAIN_S
            log.warning("a schedule has to wait", schedule=name, error=str(error))
        except Exception:
            pause_s = AGAIN_S
            log.error("a schedule failed because of a bug", schedule=name, exc_info=True)
        finally:
            self._busy.discard(name)
            self._room.release()
            self._plan(name, self._ctx.clock.time_ns() + int(pause_s * SECOND_NS))
            self._awake.set()

    def _carry_out(self, name: str) -> float:
        """Carry out the next step of a schedule. Return after which pause to look again."""
        schedule = self._ctx.schedules.get(name)
        if schedule is None:
            return 0.0
        next = due.step(schedule, self._ctx.mirrors.resource, self._ctx.clock.time_ns())
        if next.kind is due.Kind.NOTHING:
            return AGAIN_S
        stored = next.schedule
        if stored is not schedule:
            stored = self._ctx.schedules.put(self._ctx.leadership, stored)
        if next.kind is due.Kind.BEGIN:
            done = due.carried_out(stored, self._begin(stored))
            self._ctx.schedules.put(self._ctx.leadership, done)
        return 0.0

    def _begin(self, schedule: Schedule) -> str:
        """Begin the task of a schedule. Return what became of it. Raises Retryable, Conflict,
        Lost."""
        firing = schedule.firing
        assert firing is not None  # it was stored before
        spec = replace(schedule.wish.task, name=firing.task)
        try:
            faults = parameter_faults(spec)
            begin = Begin(spec, firing.before, faults, self._alone, partial(self._stands, schedule))
            self._submit(begin, schedule.name)
        except Conflict:
            raise
        except Rejected as error:
            log.warning("a schedule cannot begin its task", schedule=schedule.name, why=str(error))
            return f"refused: {error}"
        late_ns = self._ctx.clock.time_ns() - firing.moment_ns
        late_s = (late_ns - offset_ns(schedule.name, schedule.wish.jitter_s)) / SECOND_NS
        log.info(
            "a schedule began its task",
            schedule=schedule.name,
            task=firing.task,
            late_s=round(late_s, 3),
        )
        task = self._ctx.mirrors.resource(firing.task)
        rests = task is not None and task.paused
        hint = f", which is paused: crawler resume {firing.task}" if rests else ""
        return f"began task {firing.task}{hint}"

    def _submit(self, begin: Begin, schedule: str) -> None:
        """Let the writer carry out a firing. A trace begins with it."""
        told = {"crawler.schedule": schedule, "crawler.task": begin.spec.name}
        with self._ctx.tracing.span("fire schedule", Kind.INTERNAL, told=told) as trace:
            call = Call(PATIENCE_S, cause=f"schedule {schedule}", trace=trace)
            self._writer.submit(begin, call)

    def _stands(self, schedule: Schedule) -> bool:
        """Whether a firing is still to be carried out: nobody has paused its schedule, or changed
        or deleted it."""
        found = self._ctx.schedules.get(schedule.name)
        return found is not None and found.firing == schedule.firing
