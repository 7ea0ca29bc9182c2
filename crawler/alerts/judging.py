"""Says whether something is wrong, by a rule. Pure functions: each returns what is wrong in words,
and an empty text if nothing is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from crawler.model.alerts import AlertRule, When
from crawler.model.history import Event, Kind, RunState
from crawler.model.records import Counts, Resource, State
from crawler.model.schedules import Schedule
from crawler.schedules import due
from crawler.schedules.timetable import SECOND_NS, offset_ns

LEAST_RUNS = 3
"""From how many runs on it is known what is usual."""
MOST_RUNS = 10
"""How many runs before count."""
LEAST_REQUESTS = 20
"""A share of fewer requests says nothing."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the runs of a task before had done that ended well."""

    items: Sequence[int] = ()
    seconds: Sequence[float] = ()

    @property
    def usual_items(self) -> float | None:
        """The usual number of items; None if there were too few runs."""
        return statistics.median(self.items) if len(self.items) >= LEAST_RUNS else None

    @property
    def usual_s(self) -> float | None:
        """The usual time of a run; None if there were too few."""
        return statistics.median(self.seconds) if len(self.seconds) >= LEAST_RUNS else None


def past_of(events: Sequence[Event], task: Resource) -> Past:
    """Return what the runs before that of a task did, by the events of its name. A run on several
    workers has an end for each: their items are added."""
    ends: dict[tuple[str, int, int], list[Counts]] = {}
    for event in events:
        is_end = event.kind is Kind.ENDED and event.state is RunState.DONE
        if is_end and (event.id, event.run) != (task.id, task.run):
            ends.setdefault((event.id, event.generation, event.run), []).append(event.counts)
    last = list(ends.values())[-MOST_RUNS:]
    return Past(
        [sum(each.items for each in parts) for parts in last],
        [max(each.seconds for each in parts) for parts in last],
    )


def knows_end(events: Sequence[Event], task: Resource) -> bool:
    """Whether the end of the present run of a task is among the events."""
    return any(e.kind is Kind.ENDED and (e.id, e.run) == (task.id, task.run) for e in events)


def run_mark(task: Resource) -> str:
    """Return which run a task has. A run that moves is still the same one."""
    return f"{task.id}/{task.generation}/{task.run}"


def wrong_at_end(rule: AlertRule, task: Resource, past: Past) -> str:
    """Judge a task that has ended."""
    if task.stopped:
        return ""
    if rule.when is When.FAILED and task.state is State.FAILED:
        return f"it failed: {task.reason or 'no reason is known'}"
    if rule.when is When.FEW_ITEMS and task.state is State.DONE:
        return _few_items(rule, task.counts.items, past.usual_items)
    return _failures(rule, task.counts) if rule.when is When.FAILURES else ""


def wrong_before_end(rule: AlertRule, task: Resource, past: Past) -> str:
    """Judge a task that has not ended."""
    if rule.when is When.WAITING and not task.paused:
        is_waiting = task.owner is None or task.awaits_spider
        return f"it waits for a worker: {task.told_reason or 'no reason is known'}" * is_waiting
    if task.state is not State.RUNNING:
        return ""
    if rule.when is When.LATE:
        return _long_run(rule, task.counts.seconds, past.usual_s)
    return _failures(rule, task.counts) if rule.when is When.FAILURES else ""


def wrong_with_disk(rule: AlertRule, used: float) -> str:
    """Judge the share of a worker's disk that is in use."""
    return f"its disk is {used:.0%} full" if used >= rule.bound else ""


def wrong_with_schedule(rule: AlertRule, schedule: Schedule, now_ns: int) -> tuple[str, str]:
    """Judge a schedule. Return also which of its moments is meant."""
    if schedule.outcome.startswith("missed"):
        return f"its last time was {schedule.outcome}", f"missed {schedule.decided_ns}"
    due_ns = _due_ns(schedule, now_ns)
    late_ns = 0 if due_ns is None else now_ns - due_ns
    if late_ns <= rule.patience_s * SECOND_NS:
        return "", ""
    return f"it was to fire {late_ns // SECOND_NS} s ago", f"due {due_ns}"


def _due_ns(schedule: Schedule, now_ns: int) -> int | None:
    """Return when a schedule was, or is, to fire; None if it has nothing to fire."""
    if schedule.firing is not None:
        offset = offset_ns(schedule.name, schedule.wish.jitter_s)
        return schedule.firing.since_ns or schedule.firing.moment_ns + offset
    return None if schedule.queued_ns else due.due_ns(schedule, now_ns)


def _few_items(rule: AlertRule, items: int, usual: float | None) -> str:
    if usual is None or items >= rule.bound * usual:
        return ""
    return f"it ended with {items} items; usual are {usual:g}"


def _failures(rule: AlertRule, counts: Counts) -> str:
    requests = counts.pages + counts.failures
    if requests < LEAST_REQUESTS or counts.failures <= rule.bound * requests:
        return ""
    return f"{counts.failures} of {requests} requests failed"


def _long_run(rule: AlertRule, taken_s: float, usual_s: float | None) -> str:
    if usual_s is None or taken_s <= max(rule.bound * usual_s, rule.patience_s):
        return ""
    return f"it runs for {taken_s:.0f} s; usual are {usual_s:.0f} s"
